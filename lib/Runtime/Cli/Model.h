// A module with a session, and its inputs: what run, bench and profile share.
#ifndef TENON_RUNTIME_CLI_MODEL_H
#define TENON_RUNTIME_CLI_MODEL_H

#include "Tensor.h"
#include <map>

namespace tenon::runtime {

/// Owns both and the data of the inputs. All members throw CommandError.
class Model {
public:
  Model(const std::string &artifact, const tn_session_options &options);
  ~Model();
  Model(const Model &) = delete;
  Model &operator=(const Model &) = delete;

  /// The number of the input of that name.
  int inputNumber(const std::string &name) const;

  void setInput(int number, Tensor tensor);
  /// Reads input_0.pb, input_1.pb, ...; a name decides over the number.
  void readDataSet(const std::string &folder);
  /// Invents inputs that a model can digest: ids below 1000, masks of ones.
  /// Symbols that `sizes` lacks get their hint.
  void inventInputs(const std::map<std::string, int64_t> &sizes);

  void run();
  int outputCount() const { return tn_module_output_count(module); }
  tn_tensor output(int number) const;
  /// Writes output_0.pb, output_1.pb, ...
  void writeOutputs(const std::string &folder) const;

  tn_module *module = nullptr;
  tn_session *session = nullptr;

private:
  std::vector<Tensor> inputs;
};

} // namespace tenon::runtime

#endif // TENON_RUNTIME_CLI_MODEL_H
