/* The one list of what proto/ offers: every service, and the messages that no method names. What
 * these reach, the schema finds by itself. A test compares it with the descriptor set. */
#include "attestd/v1/admin.pb-c.h"
#include "attestd/v1/attestations.pb-c.h"
#include "attestd/v1/gate.pb-c.h"
#include "attestd/v1/lineage.pb-c.h"
#include "attestd/v1/log.pb-c.h"
#include "attestd/v1/trust.pb-c.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "grpc/reflection/v1alpha/reflection.pb-c.h"
#include "msg/internal.h"

const ProtobufCServiceDescriptor *const msg_root_services[] = {
    &attestd__v1__admin__descriptor,
    &attestd__v1__attestations__descriptor,
    &attestd__v1__gate__descriptor,
    &attestd__v1__lineage__descriptor,
    &attestd__v1__log__descriptor,
    &attestd__v1__trust__descriptor,
    &grpc__health__v1__health__descriptor,
    &grpc__reflection__v1__server_reflection__descriptor,
    &grpc__reflection__v1alpha__server_reflection__descriptor,
    NULL,
};

const ProtobufCMessageDescriptor *const msg_root_messages[] = {
    &attestd__v1__attest_stream_response__descriptor,
    &google__rpc__status__descriptor,
    &google__rpc__error_info__descriptor,
    &google__rpc__bad_request__descriptor,
    &google__rpc__retry_info__descriptor,
    NULL,
};

const ProtobufCMessageDescriptor *const msg_detail_types[] = {
    &google__rpc__error_info__descriptor,
    &google__rpc__bad_request__descriptor,
    &google__rpc__retry_info__descriptor,
    NULL,
};
