// Feeds the compiler damaged models.
//
//   fuzz-models COUNT FIRST-SEED MODEL...
//
// A model is an .onnx file, or a .textproto of one; files beside it that are
// small may be its external data. A seed takes one of them and damages bytes of
// the file, or, every second time, the message: it sets fields to odd numbers
// and names of elsewhere in the model, drops, doubles and moves nodes, values,
// attributes and dimensions. The damaged model is compiled through phase plan
// in a process of its own, which must end by itself, accept or refuse, in less
// than 2 s more than the slowest whole model, in less than 1 GB. Prints one
// line for each seed that does not, keeps its file, and exits with 1.
#include "Mutants.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/dynamic_message.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"
#include "mlir/IR/MLIRContext.h"
#include "tenon/Compiler/Compiler.h"
#include "tenon/Pipelines/Pipelines.h"
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

using namespace google::protobuf;
using namespace tenon::fuzz;
namespace fs = std::filesystem;

/// A message and all that lie in it.
using Messages = std::vector<Message *>;

static void collect(Message &message, Messages &messages,
                    std::vector<std::string> &names) {
  messages.push_back(&message);
  const Reflection &reflection = *message.GetReflection();
  std::vector<const FieldDescriptor *> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor *field : fields) {
    int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
        collect(field->is_repeated()
                    ? *reflection.MutableRepeatedMessage(&message, field, i)
                    : *reflection.MutableMessage(&message, field),
                messages, names);
      else if (field->type() == FieldDescriptor::TYPE_STRING)
        names.push_back(field->is_repeated()
                            ? reflection.GetRepeatedString(message, field, i)
                            : reflection.GetString(message, field));
    }
  }
}

template <typename T>
static const T &pick(const std::vector<T> &from, Random &random) {
  return from[below(from.size(), random)];
}

/// Another text for a name, a key or an operator.
static std::string oddText(const std::vector<std::string> &names,
                           Random &random) {
  switch (below(8, random)) {
  case 0:
    return "";
  case 1:
    return "../other";
  case 2:
    return std::string(300, 'n');
  case 3:
    return std::string("\xff\n\"%s", 5);
  case 4:
    return std::to_string(oddNumber(random));
  default:
    return pick(names, random);
  }
}

/// Sets a number, a text or an enumerator; element `i` of a repeated field.
static void setField(Message &message, const FieldDescriptor *field, int i,
                     const std::vector<std::string> &names, Random &random) {
  const Reflection &r = *message.GetReflection();
  bool repeats = field->is_repeated();
  static const double reals[] = {0, -1, 1e30, -1e30, NAN, INFINITY, 0.5};
  double real = reals[below(std::size(reals), random)];
  int64_t number = oddNumber(random);
  switch (field->cpp_type()) {
  case FieldDescriptor::CPPTYPE_INT32:
    return repeats ? r.SetRepeatedInt32(&message, field, i, int32_t(number))
                   : r.SetInt32(&message, field, int32_t(number));
  case FieldDescriptor::CPPTYPE_INT64:
    return repeats ? r.SetRepeatedInt64(&message, field, i, number)
                   : r.SetInt64(&message, field, number);
  case FieldDescriptor::CPPTYPE_UINT64:
    return repeats ? r.SetRepeatedUInt64(&message, field, i, uint64_t(number))
                   : r.SetUInt64(&message, field, uint64_t(number));
  case FieldDescriptor::CPPTYPE_FLOAT:
    return repeats ? r.SetRepeatedFloat(&message, field, i, float(real))
                   : r.SetFloat(&message, field, float(real));
  case FieldDescriptor::CPPTYPE_DOUBLE:
    return repeats ? r.SetRepeatedDouble(&message, field, i, real)
                   : r.SetDouble(&message, field, real);
  case FieldDescriptor::CPPTYPE_ENUM: {
    int value = int(below(30, random));
    return repeats ? r.SetRepeatedEnumValue(&message, field, i, value)
                   : r.SetEnumValue(&message, field, value);
  }
  case FieldDescriptor::CPPTYPE_STRING: {
    std::string text = field->type() == FieldDescriptor::TYPE_BYTES
                           ? std::string(below(40, random), char(random()))
                           : oddText(names, random);
    return repeats ? r.SetRepeatedString(&message, field, i, text)
                   : r.SetString(&message, field, text);
  }
  default:
    return;
  }
}

/// Changes one field of `message`, or what kind of it lies elsewhere.
static void damageMessage(Message &message, const Messages &all,
                          const std::vector<std::string> &names,
                          Random &random) {
  const Reflection &reflection = *message.GetReflection();
  std::vector<const FieldDescriptor *> fields;
  reflection.ListFields(message, &fields);
  // Now and then a field that is not set, and so often adds what is odd.
  if (fields.empty() || random() % 8 == 0) {
    const Descriptor *type = message.GetDescriptor();
    fields = {type->field(int(below(size_t(type->field_count()), random)))};
  }
  const FieldDescriptor *field = pick(fields, random);
  bool isMessage = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  if (!field->is_repeated()) {
    if (random() % 6 == 0)
      reflection.ClearField(&message, field);
    else if (!isMessage)
      setField(message, field, 0, names, random);
    return;
  }
  int count = reflection.FieldSize(message, field);
  if (count == 0)
    return;
  int i = int(below(size_t(count), random));
  int j = int(below(size_t(count), random));
  switch (below(isMessage ? 4 : 3, random)) {
  case 0:
    reflection.SwapElements(&message, field, i, count - 1);
    reflection.RemoveLast(&message, field);
    return;
  case 1:
    reflection.SwapElements(&message, field, i, j);
    return;
  case 2:
    if (isMessage)
      reflection.AddMessage(&message, field)
          ->CopyFrom(reflection.GetRepeatedMessage(message, field, i));
    else
      setField(message, field, i, names, random);
    return;
  case 3: { // one of the same kind, of elsewhere
    const Message *other = pick(all, random);
    if (other->GetDescriptor() == field->message_type()) {
      std::unique_ptr<Message> copy(other->New());
      copy->CopyFrom(*other);
      reflection.MutableRepeatedMessage(&message, field, i)->CopyFrom(*copy);
    }
    return;
  }
  }
}

static Bytes serialize(const Message &model) {
  std::string text;
  model.SerializePartialToString(&text);
  return Bytes(text.begin(), text.end());
}

static void damageModel(Message &model, Random &random) {
  for (size_t changes = 1 + below(4, random); changes > 0; --changes) {
    Messages messages;
    std::vector<std::string> names = {""};
    collect(model, messages, names);
    damageMessage(*pick(messages, random), messages, names, random);
  }
}

struct Model {
  std::string folder; // of its own, with what lay beside the file
  std::unique_ptr<Message> message;
  Bytes bytes;
};

static Bytes readFile(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

static void writeFile(const fs::path &path, const Bytes &bytes) {
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), std::streamsize(bytes.size()));
}

static Model readModel(const Message &prototype, const fs::path &path,
                       const std::string &folder) {
  Model model = {folder, {}, readFile(path)};
  model.message.reset(prototype.New());
  std::string text(model.bytes.begin(), model.bytes.end());
  bool isText = path.extension() == ".textproto";
  if (!(isText ? TextFormat::ParseFromString(text, model.message.get())
               : model.message->ParseFromString(text))) {
    std::fprintf(stderr, "%s: is no ONNX model\n", path.c_str());
    std::exit(2);
  }
  model.bytes = serialize(*model.message);
  fs::create_directory(folder);
  if (!isText)
    for (const fs::directory_entry &entry :
         fs::directory_iterator(path.parent_path()))
      if (entry.is_regular_file() && entry.path() != path &&
          entry.file_size() < 1 << 20)
        fs::copy(entry.path(), folder);
  return model;
}

static int compile(const std::string &path) {
  mlir::DialectRegistry registry;
  tenon::registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  context.getDiagEngine().registerHandler([](mlir::Diagnostic &) {});
  tenon::CompilerOptions options;
  options.stopAfter = "plan";
  tenon::CompileObserver observer;
  switch (tenon::compileModel(&context, path, "", options, observer)) {
  case tenon::CompileStatus::Success:
    return 0;
  case tenon::CompileStatus::Error:
    return 1;
  case tenon::CompileStatus::Unsupported:
    return 3;
  }
  return 2;
}

int main(int argc, char **argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: fuzz-models COUNT FIRST-SEED MODEL...\n");
    return 2;
  }
  uint64_t count = std::strtoull(argv[1], nullptr, 10);
  uint64_t first = std::strtoull(argv[2], nullptr, 10);
  SetLogHandler(nullptr); // protobuf, of fields that are no UTF-8
  // What the importer links has no reflection.
  FileDescriptorSet files;
  std::ifstream descriptors(ONNX_DESCRIPTORS, std::ios::binary);
  files.ParseFromIstream(&descriptors);
  DescriptorPool pool;
  const FileDescriptor *onnx = pool.BuildFile(files.file(0));
  DynamicMessageFactory factory(&pool);
  const Message *prototype =
      factory.GetPrototype(onnx->FindMessageTypeByName("ModelProto"));
  std::string folder = makeFolder();
  std::vector<Model> models;
  double slowest = 0;
  for (int i = 3; i < argc; ++i) {
    models.push_back(
        readModel(*prototype, argv[i], folder + "/" + std::to_string(i)));
    std::string path = models.back().folder + "/model.onnx";
    writeFile(path, models.back().bytes);
    Outcome whole = isolated([&] { return compile(path); });
    slowest = std::max(slowest, whole.seconds);
    if (whole.code != 0 && whole.code != 1 && whole.code != 3) {
      std::printf("the whole model %s ends with %d\n", argv[i], whole.code);
      return 1;
    }
  }
  Tally tally("models", slowest);
  for (uint64_t seed = first; seed < first + count; ++seed) {
    Random random(seed);
    const Model &model = models[below(models.size(), random)];
    Bytes bytes = model.bytes;
    if (seed % 2) {
      std::unique_ptr<Message> message(model.message->New());
      message->CopyFrom(*model.message);
      damageModel(*message, random);
      bytes = serialize(*message);
    } else {
      damage(bytes, 0, bytes.size(), /*isFixed=*/false, random);
    }
    std::string path = model.folder + "/model.onnx";
    writeFile(path, bytes);
    tally.add(seed, isolated([&] { return compile(path); }), bytes, ".onnx");
  }
  fs::remove_all(folder);
  return tally.report();
}
