/* Loads an artifact, fills its inputs with ones, runs it and prints what it
 * computes:  run_model MODEL.so */
#include "tenon-c/Runtime.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with the runtime's message when a call has failed. */
static void check(tn_status status) {
  if (status == TN_OK)
    return;
  fprintf(stderr, "error: %s\n", tn_last_error());
  exit(1);
}

/* A tensor of ones. Sizes that the model leaves open are 1. */
static tn_tensor make_input(const tn_module *module, int32_t number) {
  tn_tensor tensor;
  int64_t count = 1;
  memset(&tensor, 0, sizeof(tensor));
  tensor.type = tn_module_input_type(module, number);
  tensor.rank = tn_module_input_rank(module, number);
  for (int32_t i = 0; i < tensor.rank; ++i) {
    tn_dim dim = tn_module_input_dim(module, number, i);
    tensor.dims[i] = dim.symbol ? 1 : dim.size;
    count *= tensor.dims[i];
  }
  tensor.bytes = tn_type_bytes(tensor.type, count);
  tensor.data = calloc(1, tensor.bytes ? (size_t)tensor.bytes : 1);
  for (int64_t i = 0; i < count; ++i) {
    if (tensor.type == TN_F32)
      ((float *)tensor.data)[i] = 1;
    if (tensor.type == TN_I64)
      ((int64_t *)tensor.data)[i] = 1;
  }
  return tensor;
}

static void print_output(const char *name, const tn_tensor *tensor) {
  int64_t count = tensor->bytes / tn_type_bytes(tensor->type, 1);
  printf("%s %s[", name, tn_type_name(tensor->type));
  for (int32_t i = 0; i < tensor->rank; ++i)
    printf(i ? ", %lld" : "%lld", (long long)tensor->dims[i]);
  printf("]");
  for (int64_t i = 0; i < count && i < 8; ++i) {
    if (tensor->type == TN_F32)
      printf(" %g", ((const float *)tensor->data)[i]);
    if (tensor->type == TN_I64)
      printf(" %lld", (long long)((const int64_t *)tensor->data)[i]);
  }
  printf("\n");
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: run_model MODEL.so\n");
    return 2;
  }
  tn_module *module = NULL;
  tn_session *session = NULL;
  tn_session_options options = {0};
  options.threads = 2;
  check(tn_module_load(argv[1], &module));
  check(tn_session_create(module, &options, &session));

  /* The session reads inputs where they are: they live until after the run. */
  int32_t count = tn_module_input_count(module);
  tn_tensor *inputs = calloc((size_t)count + 1, sizeof(tn_tensor));
  for (int32_t i = 0; i < count; ++i) {
    inputs[i] = make_input(module, i);
    check(tn_session_set_input(session, i, &inputs[i]));
  }
  check(tn_session_run(session));

  for (int32_t i = 0; i < tn_module_output_count(module); ++i) {
    tn_tensor output;
    check(tn_session_output(session, i, &output));
    print_output(tn_module_output_name(module, i), &output);
  }

  tn_session_release(session);
  tn_module_release(module);
  for (int32_t i = 0; i < count; ++i)
    free(inputs[i].data);
  free(inputs);
  return 0;
}
