/*===- embed.c - an application in C that runs a compiled model ------------===*
 *
 * Licensed under the Apache License v2.0 with LLVM Exceptions.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===----------------------------------------------------------------------===*
 *
 * embed_c MODEL.aicc [DEVICE]
 *
 * Runs the model once on inputs of ones, every symbol being 1, and prints the
 * first values of each output.
 *
 *===----------------------------------------------------------------------===*/

#include <aicc/runtime.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with the runtime's message. */
static void check(aicc_status status) {
  if (status == AICC_OK)
    return;
  fprintf(stderr, "embed_c: %s\n", aicc_message());
  exit(1);
}

static aicc_tensor *ones(const aicc_package *package, size_t index) {
  aicc_port port = {.struct_size = sizeof port};
  check(aicc_package_input(package, index, &port));

  int64_t symbols[64], dims[16];
  if (aicc_package_symbol_count(package) > 64 || port.rank > 16)
    exit(1);
  for (size_t i = 0; i < 64; ++i)
    symbols[i] = 1;
  check(aicc_package_input_dims(package, index, symbols, dims));

  aicc_tensor *tensor;
  check(aicc_tensor_create(port.type, port.rank, dims, &tensor));
  memset(aicc_tensor_data(tensor), 0, aicc_tensor_bytes(tensor));
  if (port.type == AICC_F32) {
    float *data = aicc_tensor_data(tensor);
    for (size_t i = 0; i < aicc_tensor_bytes(tensor) / sizeof *data; ++i)
      data[i] = 1;
  }
  return tensor;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: embed_c MODEL.aicc [DEVICE]\n");
    return 2;
  }
  aicc_package *package;
  check(aicc_package_open(argv[1], NULL, &package));
  aicc_device *device = aicc_device_find(argc > 2 ? argv[2] : "cpu");
  if (!device) {
    fprintf(stderr, "embed_c: %s\n", aicc_message());
    return 1;
  }
  aicc_session *session;
  check(aicc_session_create(package, device, NULL, &session));
  printf("running %s\n", aicc_session_variant(session));

  const size_t input_count = aicc_package_input_count(package);
  const size_t output_count = aicc_package_output_count(package);
  aicc_tensor **inputs = calloc(input_count + 1, sizeof *inputs);
  aicc_tensor **outputs = calloc(output_count + 1, sizeof *outputs);
  for (size_t i = 0; i < input_count; ++i)
    inputs[i] = ones(package, i);

  /* Outputs are NULL, so the runtime makes them. */
  check(aicc_session_run(session, inputs, input_count, outputs, output_count));

  for (size_t i = 0; i < output_count; ++i) {
    aicc_port port = {.struct_size = sizeof port};
    check(aicc_package_output(package, i, &port));
    printf("%s:", port.name);
    const float *data = aicc_tensor_data(outputs[i]);
    const size_t count = port.type == AICC_F32
                             ? aicc_tensor_bytes(outputs[i]) / sizeof *data
                             : 0;
    for (size_t k = 0; k < count && k < 8; ++k)
      printf(" %g", data[k]);
    printf("\n");
    aicc_tensor_release(outputs[i]);
  }
  for (size_t i = 0; i < input_count; ++i)
    aicc_tensor_release(inputs[i]);
  free(inputs);
  free(outputs);
  aicc_session_release(session);
  aicc_package_release(package);
  return 0;
}
