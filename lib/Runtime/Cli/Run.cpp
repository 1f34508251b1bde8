// run: one run on given inputs, compared with what is expected.
#include "Commands.h"
#include "Elements.h"
#include "NpyFile.h"
#include "TensorProto.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <sys/stat.h>

using namespace tenon::runtime;

static std::string shapeText(const int64_t *dims, int rank) {
  std::string text = "[";
  for (int i = 0; i < rank; ++i)
    text += (i ? ", " : "") + std::to_string(dims[i]);
  return text + "]";
}

/// Prints one line and returns whether the output is as expected.
static bool compare(const char *name, const tn_tensor &found,
                    const Tensor &expected, const Arguments &arguments) {
  if (found.type != expected.type) {
    std::printf("%s: expected %s, found %s\n", name,
                tn_type_name(expected.type), tn_type_name(found.type));
    return false;
  }
  std::vector<int64_t> dims(found.dims, found.dims + found.rank);
  if (dims != expected.dims) {
    std::printf(
        "%s: expected shape %s, found %s\n", name,
        shapeText(expected.dims.data(), int(expected.dims.size())).c_str(),
        shapeText(found.dims, found.rank).c_str());
    return false;
  }
  int64_t size = tn_type_bytes(found.type, 1);
  int64_t count = found.bytes / size, wrong = 0, first = -1;
  double worst = 0;
  const char *data = static_cast<const char *>(found.data);
  for (int64_t i = 0; i < count; ++i) {
    const char *lhs = data + i * size, *rhs = expected.data.data() + i * size;
    if (std::memcmp(lhs, rhs, size_t(size)) == 0)
      continue;
    double a = elementValue(found.type, lhs), b = elementValue(found.type, rhs);
    if (a == b || (std::isnan(a) && std::isnan(b)))
      continue;
    double error = std::fabs(a - b);
    // A NaN or an infinity on one side is as wrong as can be.
    if (!std::isfinite(error))
      error = INFINITY;
    worst = std::max(worst, error);
    if (std::isfinite(b) &&
        error <= arguments.atol + arguments.rtol * std::fabs(b))
      continue;
    ++wrong;
    if (first < 0)
      first = i;
  }
  std::printf("%s: max abs error %.3g%s", name, worst, wrong ? "" : "\n");
  if (!wrong)
    return true;
  std::printf(", %lld of %lld elements differ, first at %lld: expected %.9g, "
              "found %.9g\n",
              (long long)wrong, (long long)count, (long long)first,
              elementValue(found.type, expected.data.data() + first * size),
              elementValue(found.type, data + first * size));
  return false;
}

static void printOutput(const char *name, const tn_tensor &tensor) {
  int64_t size = tn_type_bytes(tensor.type, 1), count = tensor.bytes / size;
  std::printf("%s: %s%s", name, tn_type_name(tensor.type),
              shapeText(tensor.dims, tensor.rank).c_str());
  for (int64_t i = 0; i < count && i < 8; ++i)
    std::printf(
        " %.6g",
        elementValue(tensor.type, static_cast<char *>(tensor.data) + i * size));
  std::printf(count > 8 ? " ...\n" : "\n");
}

static void setInputs(Model &model, const Arguments &arguments) {
  if (arguments.dataSet.empty() && arguments.inputs.empty())
    model.inventInputs(arguments.shape);
  if (!arguments.dataSet.empty()) {
    struct stat state;
    if (stat(arguments.dataSet.c_str(), &state) != 0)
      throw CommandError("there is no data set '" + arguments.dataSet + "'");
    model.readDataSet(arguments.dataSet);
  }
  for (const auto &[name, file] : arguments.inputs) {
    int number = model.inputNumber(name);
    bool isNpy = file.size() > 4 && file.substr(file.size() - 4) == ".npy";
    model.setInput(number, isNpy ? readNpy(file, tn_module_input_type(
                                                     model.module, number))
                                 : readTensorProto(file));
  }
}

/// Compares the run of `checked` with one that leaves free memory as it is. A
/// difference means that a launch reads what nobody wrote or what is free.
static void compareWithUnchecked(const Model &checked,
                                 const Arguments &arguments) {
  tn_session_options options = arguments.session;
  options.check_memory = 0;
  Model model(arguments.artifact, options);
  setInputs(model, arguments);
  model.run();
  for (int i = 0; i < model.outputCount(); ++i) {
    tn_tensor found = checked.output(i), expected = model.output(i);
    if (std::memcmp(found.data, expected.data, size_t(expected.bytes)) != 0)
      throw CommandError("output '" +
                         std::string(tn_module_output_name(model.module, i)) +
                         "' changes when memory that holds nothing is filled "
                         "with NaN");
  }
}

int tenon::runtime::runCommand(const Arguments &arguments) {
  Model model(arguments.artifact, arguments.session);
  if (arguments.check && arguments.dataSet.empty())
    throw CommandError("--check needs --data-set");
  setInputs(model, arguments);
  model.run();
  if (arguments.session.check_memory)
    compareWithUnchecked(model, arguments);
  if (!arguments.output.empty())
    model.writeOutputs(arguments.output);
  bool isRight = true;
  for (int i = 0; i < model.outputCount(); ++i) {
    const char *name = tn_module_output_name(model.module, i);
    if (arguments.check)
      isRight &= compare(name, model.output(i),
                         readTensorProto(arguments.dataSet + "/output_" +
                                         std::to_string(i) + ".pb"),
                         arguments);
    else if (arguments.output.empty())
      printOutput(name, model.output(i));
  }
  return isRight ? 0 : 1;
}
