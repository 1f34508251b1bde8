// Recipes as JSON, and as attributes of nodes.
#include "tenon/Recipe/Recipe.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "llvm/Support/GlobPattern.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
namespace json = llvm::json;

namespace tenon {

/// Of the file. Raised when a key is removed or changes its meaning; one that
/// is added is refused by those who do not know it.
static constexpr int64_t fileVersion = 1;
static constexpr llvm::StringLiteral weightsAttr = "tenon.weights";
static constexpr llvm::StringLiteral groupAttr = "tenon.group";
static constexpr llvm::StringLiteral widthAttr = "tenon.width";
static constexpr llvm::StringLiteral precisionAttr = "tenon.precision";

bool isGroup(int64_t size) {
  return size >= 16 && size <= 256 && llvm::isPowerOf2_64(size);
}

bool isCacheFormat(StringRef format) {
  return format == "f32" || format == "f16" || format == "bf16" ||
         format == "int8";
}

namespace {

/// Reads one file; remembers its name for errors.
class Reader {
public:
  explicit Reader(StringRef path) : path(path) {}

  llvm::Expected<Recipe> read(StringRef text) {
    llvm::Expected<json::Value> parsed = json::parse(text);
    if (!parsed)
      return wrong(llvm::toString(parsed.takeError()));
    const json::Object *object = parsed->getAsObject();
    if (!object || object->getInteger("tenon_recipe") != fileVersion)
      return wrong("needs an object with \"tenon_recipe\": " +
                   Twine(fileVersion));
    Recipe recipe;
    for (const auto &[key, value] : *object)
      if (llvm::Error error = readEntry(recipe, key, value))
        return std::move(error);
    return recipe;
  }

private:
  llvm::Error wrong(const Twine &what) {
    return llvm::createStringError("recipe '" + path + "': " + what);
  }

  llvm::Error readEntry(Recipe &recipe, StringRef key,
                        const json::Value &value) {
    if (key == "tenon_recipe")
      return llvm::Error::success();
    if (key == "target") {
      if (!value.getAsString())
        return wrong("\"target\" needs a string");
      recipe.target = value.getAsString()->str();
      return llvm::Error::success();
    }
    if (key == "sizes") {
      if (!value.getAsArray())
        return wrong("\"sizes\" needs an array of strings such as "
                     "\"sequence~128\"");
      for (const json::Value &size : *value.getAsArray()) {
        if (!size.getAsString())
          return wrong("\"sizes\" needs strings such as \"sequence~128\"");
        recipe.sizes.push_back(size.getAsString()->str());
      }
      return llvm::Error::success();
    }
    if (key == "decoder") {
      if (!value.getAsBoolean())
        return wrong("\"decoder\" needs true or false");
      recipe.decoder = *value.getAsBoolean();
      return llvm::Error::success();
    }
    if (key == "kv_cache") {
      std::optional<StringRef> format = value.getAsString();
      if (!format || !isCacheFormat(*format))
        return wrong("\"kv_cache\" needs \"f32\", \"f16\", \"bf16\" or "
                     "\"int8\"");
      recipe.kvCache = format->str();
      return llvm::Error::success();
    }
    if (key == "nodes") {
      if (!value.getAsArray())
        return wrong("\"nodes\" needs an array of objects");
      for (const json::Value &node : *value.getAsArray())
        if (llvm::Error error = readNode(recipe, node))
          return error;
      return llvm::Error::success();
    }
    return wrong("unknown key \"" + key +
                 "\", expected target, sizes, decoder, kv_cache or nodes");
  }

  llvm::Error readNode(Recipe &recipe, const json::Value &value) {
    const json::Object *object = value.getAsObject();
    std::optional<StringRef> id =
        object ? object->getString("node") : std::nullopt;
    if (!id)
      return wrong("an entry of \"nodes\" needs a string \"node\"");
    NodeChoice choice;
    for (const auto &[key, entry] : *object) {
      auto expected = [&](StringRef what) {
        std::string found;
        llvm::raw_string_ostream(found) << entry;
        return wrong("node '" + *id + "': \"" + StringRef(key) + "\" needs " +
                     what + ", found " + found);
      };
      if (key == "node")
        continue;
      if (key == "weights") {
        std::optional<StringRef> format = entry.getAsString();
        if (format != "f32" && format != "int8" && format != "int4")
          return expected("\"f32\", \"int8\" or \"int4\"");
        choice.weights = format->str();
      } else if (key == "group") {
        std::optional<int64_t> group = entry.getAsInteger();
        if (!group || !isGroup(*group))
          return expected("a power of two from 16 to 256");
        choice.group = group;
      } else if (key == "activations") {
        std::optional<StringRef> format = entry.getAsString();
        if (format != "f32" && format != "int8")
          return expected("\"f32\" or \"int8\"");
        choice.activations = format->str();
      } else if (key == "width") {
        std::optional<int64_t> width = entry.getAsInteger();
        if (!width || *width <= 0 || *width % 32 != 0)
          return expected("a positive multiple of 32");
        choice.width = *width;
      } else if (key == "precision") {
        std::optional<StringRef> format = entry.getAsString();
        if (format != "f32" && format != "bf16")
          return expected("\"f32\" or \"bf16\"");
        choice.precision = format->str();
      } else if (key == "schedule") {
        choice.schedule = readSchedule(entry);
        if (!choice.schedule)
          return expected("an object with \"family\", a string, \"tile\", an "
                          "array of integers, or both");
      } else {
        return wrong("node '" + *id + "': unknown key \"" + StringRef(key) +
                     "\", expected weights, group, width, precision, "
                     "activations or schedule");
      }
    }
    if (choice.group && (!choice.weights || *choice.weights == "f32"))
      return wrong("node '" + *id +
                   "': \"group\" needs \"weights\" of \"int8\" or \"int4\"");
    // Four bits for a whole column would be too few.
    if (choice.weights == "int4" && !choice.group)
      choice.group = defaultGroup;
    recipe.nodes.push_back({id->str(), choice});
    return llvm::Error::success();
  }

  /// Null if it is none.
  static std::optional<ScheduleChoice> readSchedule(const json::Value &value) {
    const json::Object *object = value.getAsObject();
    if (!object || object->empty())
      return std::nullopt;
    ScheduleChoice schedule;
    for (const auto &[key, entry] : *object) {
      if (key == "family" && entry.getAsString()) {
        schedule.family = entry.getAsString()->str();
      } else if (key == "tile" && entry.getAsArray()) {
        for (const json::Value &size : *entry.getAsArray()) {
          if (!size.getAsInteger())
            return std::nullopt;
          schedule.tile.push_back(*size.getAsInteger());
        }
      } else {
        return std::nullopt;
      }
    }
    return schedule;
  }

  StringRef path;
};

} // namespace

llvm::Expected<Recipe> readRecipe(StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return llvm::createStringError("recipe '" + path +
                                   "': " + buffer.getError().message());
  return parseRecipe((*buffer)->getBuffer(), path);
}

llvm::Expected<Recipe> parseRecipe(StringRef text, StringRef name) {
  return Reader(name).read(text);
}

static void writeSchedule(const ScheduleChoice &schedule,
                          json::OStream &stream) {
  stream.attributeObject("schedule", [&] {
    if (!schedule.family.empty())
      stream.attribute("family", schedule.family);
    if (!schedule.tile.empty())
      stream.attributeArray("tile", [&] {
        for (int64_t size : schedule.tile)
          stream.value(size);
      });
  });
}

void writeRecipe(const Recipe &recipe, llvm::raw_ostream &os) {
  json::OStream stream(os, 1);
  stream.object([&] {
    stream.attribute("tenon_recipe", fileVersion);
    stream.attribute("target", recipe.target);
    stream.attributeArray("sizes", [&] {
      for (const std::string &size : recipe.sizes)
        stream.value(size);
    });
    if (recipe.decoder)
      stream.attribute("decoder", true);
    if (!recipe.kvCache.empty())
      stream.attribute("kv_cache", recipe.kvCache);
    stream.attributeArray("nodes", [&] {
      for (const auto &[id, choice] : recipe.nodes)
        stream.object([&] {
          stream.attribute("node", id);
          if (choice.weights)
            stream.attribute("weights", *choice.weights);
          if (choice.group)
            stream.attribute("group", *choice.group);
          if (choice.width)
            stream.attribute("width", *choice.width);
          if (choice.precision)
            stream.attribute("precision", *choice.precision);
          if (choice.activations)
            stream.attribute("activations", *choice.activations);
          if (choice.schedule)
            writeSchedule(*choice.schedule, stream);
        });
    });
  });
  os << "\n";
}

/// Before compress choices are about products, of which attention has two; of
/// other nodes nothing is decided.
static SmallVector<std::pair<StringRef, Operation *>>
findNodes(ModuleOp module) {
  SmallVector<std::pair<StringRef, Operation *>> nodes;
  module.walk([&](Operation *op) {
    auto id = op->getAttrOfType<StringAttr>("tenon.id");
    if (id && isa<graph::MatmulOp, graph::AttentionOp>(op))
      nodes.push_back({id.getValue(), op});
  });
  return nodes;
}

FailureOr<SmallVector<size_t>> findMeant(ModuleOp module, StringRef text,
                                         ArrayRef<StringRef> ids) {
  SmallVector<size_t> meant;
  auto collect = [&](llvm::function_ref<bool(StringRef)> fits) {
    for (auto [number, id] : llvm::enumerate(ids))
      if (fits(id))
        meant.push_back(number);
  };
  collect([&](StringRef id) { return id == text; });
  if (!meant.empty())
    return meant;
  llvm::Expected<llvm::GlobPattern> glob = llvm::GlobPattern::create(text);
  if (!glob)
    return module.emitError("recipe: '")
           << text << "' is no pattern: " << llvm::toString(glob.takeError());
  collect([&](StringRef id) { return glob->match(id); });
  return meant;
}

/// Whether all that is decided is how a region is scheduled, much later.
static bool isOnlySchedule(const NodeChoice &choice) {
  return choice.schedule && !choice.weights && !choice.width &&
         !choice.precision && !choice.activations;
}

/// Whether what `value` becomes, but for its place, type and an addend, is what
/// the function returns.
static bool reachesOutput(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    if (isa<graph::AddOp, graph::CastOp, graph::MulOp, graph::ReshapeOp,
            graph::TransposeOp>(user))
      return user->hasOneUse() && reachesOutput(user->getResult(0));
    return user->hasTrait<OpTrait::IsTerminator>();
  });
}

/// Whether a choice for all products with weights that can be quantized is one
/// for `op`.
static bool takesWeights(graph::MatmulOp op, bool withHead) {
  auto weight = op.getRhs().getDefiningOp<graph::WeightOp>();
  if (!weight)
    return false;
  auto type = cast<RankedTensorType>(weight.getOutput().getType());
  if (type.getRank() != 2 || !isa<FloatType>(type.getElementType()))
    return false;
  bool isTable = llvm::any_of(weight.getOutput().getUsers(),
                              llvm::IsaPred<graph::GatherOp>);
  return withHead || !(isTable || reachesOutput(op.getOutput()));
}

LogicalResult applyRecipe(ModuleOp module, const Recipe &recipe) {
  auto nodes = findNodes(module);
  auto ids = llvm::to_vector(llvm::make_first_range(nodes));
  Builder builder(module.getContext());
  for (const auto &[text, choice] : recipe.nodes) {
    if (isOnlySchedule(choice))
      continue;
    FailureOr<SmallVector<size_t>> meant = findMeant(module, text, ids);
    if (failed(meant))
      return failure();
    // An attention has no weights.
    bool fits = false;
    for (size_t number : *meant) {
      Operation *op = nodes[number].second;
      bool isMatmul = isa<graph::MatmulOp>(op);
      if (!isMatmul && !choice.precision)
        continue;
      fits = true;
      bool hasWeights = isMatmul && (!choice.whereItFits ||
                                     takesWeights(cast<graph::MatmulOp>(op),
                                                  choice.withHead));
      if (choice.weights && hasWeights) {
        op->setAttr(weightsAttr, builder.getStringAttr(*choice.weights));
        op->removeAttr(groupAttr);
        if (choice.group)
          op->setAttr(groupAttr, builder.getI64IntegerAttr(*choice.group));
      }
      if (choice.activations && isMatmul)
        op->setAttr(graph::activationsAttr,
                    builder.getStringAttr(*choice.activations));
      if (choice.width && isMatmul)
        op->setAttr(widthAttr, builder.getI64IntegerAttr(*choice.width));
      if (choice.precision)
        op->setAttr(precisionAttr, builder.getStringAttr(*choice.precision));
    }
    if (!fits) {
      InFlightDiagnostic error = module.emitError("recipe: node '")
                                 << text << "' fits none of the model's "
                                 << nodes.size() << " matrix products";
      if (!nodes.empty())
        error << ", of which the first is '" << nodes.front().first << "'";
      return error;
    }
  }
  return success();
}

std::vector<std::pair<std::string, NodeChoice>>
collectChoices(ModuleOp module) {
  std::vector<std::pair<std::string, NodeChoice>> choices;
  for (auto [id, op] : findNodes(module)) {
    NodeChoice choice;
    if (auto weights = op->getAttrOfType<StringAttr>(weightsAttr))
      choice.weights = weights.str();
    if (auto group = op->getAttrOfType<IntegerAttr>(groupAttr))
      choice.group = group.getInt();
    if (auto activations =
            op->getAttrOfType<StringAttr>(graph::activationsAttr))
      choice.activations = activations.str();
    if (auto width = op->getAttrOfType<IntegerAttr>(widthAttr))
      choice.width = width.getInt();
    if (auto precision = op->getAttrOfType<StringAttr>(precisionAttr))
      choice.precision = precision.str();
    if (choice.weights || choice.width || choice.precision ||
        choice.activations)
      choices.push_back({id.str(), choice});
  }
  return choices;
}

} // namespace tenon
