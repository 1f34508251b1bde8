// info: what a model takes and gives, and what it costs in memory and work.
#include "Commands.h"
#include "Costs.h"
#include "Json.h"
#include "Pictures.h"
#include "TensorProto.h"

#include <algorithm>
#include <cstdio>
#include <set>

using namespace tenon::runtime;

namespace {

/// How many launches run kernels of one kind, "matmul_add" say, and how many
/// kernels they share.
struct Kind {
  int64_t launches = 0;
  std::set<std::string> kernels;
};

} // namespace

static std::map<std::string, Kind> countKinds(const Description &description) {
  std::map<std::string, Kind> kinds;
  for (const Launch &launch : description.launches) {
    std::string kind = launch.kernel.substr(0, launch.kernel.rfind('_'));
    ++kinds[kind].launches;
    kinds[kind].kernels.insert(launch.kernel);
  }
  return kinds;
}

static std::string shapeText(const Description &description,
                             const Value &value) {
  std::string text = "[";
  for (size_t i = 0; i < value.dims.size(); ++i) {
    const Dim &dim = value.dims[i];
    text += (i ? ", " : "") +
            (dim.symbol >= 0 ? description.symbols[dim.symbol].name
             : dim.size >= 0 ? std::to_string(dim.size)
             : dim.expression
                 ? (dim.isCounted ? "up to " : "") + dim.expression->text()
                 : "?");
  }
  return text + "]";
}

static void printValues(const Description &description, const char *title,
                        const std::vector<Value> &values) {
  std::printf("%s\n", title);
  for (const Value &value : values)
    std::printf("  %-32s %-5s %s\n", value.name.c_str(),
                tn_type_name(value.type),
                shapeText(description, value).c_str());
}

static void printSymbols(const Description &description) {
  std::printf("symbols\n");
  for (const Symbol &symbol : description.symbols) {
    std::string most =
        symbol.max == INT64_MAX ? "any" : std::to_string(symbol.max);
    std::printf("  %-32s %lld..%s%s\n", symbol.name.c_str(),
                (long long)symbol.min, most.c_str(),
                symbol.hint < 0
                    ? ""
                    : (", fast at " + std::to_string(symbol.hint)).c_str());
  }
}

namespace {

/// What a layer takes with a launch for each operation, and as it is.
struct LayerCosts {
  std::string layer;
  int64_t launchesBefore = 0, bytesBefore = 0, launches = 0, bytes = 0;
};

} // namespace

/// In the order of the model; empty where the artifact does not say.
static std::vector<LayerCosts> layerCosts(const Description &description,
                                          const std::vector<int64_t> &sizes) {
  std::vector<LayerCosts> layers;
  for (const UnfusedLayer &layer : description.unfused)
    layers.push_back(
        {layer.layer, layer.launches,
         layer.readBytes.evaluate(sizes) + layer.writtenBytes.evaluate(sizes)});
  if (layers.empty())
    return layers;
  std::vector<LaunchCosts> costs =
      launchCosts(description, sizes, 1, limitsOf(description));
  for (size_t i = 0; i < costs.size(); ++i) {
    const std::string &name = description.launches[i].layer;
    auto layer =
        std::find_if(layers.begin(), layers.end(),
                     [&](const LayerCosts &one) { return one.layer == name; });
    if (layer == layers.end())
      layer = layers.insert(layers.end(), LayerCosts{name});
    ++layer->launches;
    layer->bytes += costs[i].bytes;
  }
  return layers;
}

static void printLayer(const LayerCosts &layer, const std::string &name) {
  std::printf("  %-32s %10lld %12.3f %10lld %12.3f\n", name.c_str(),
              (long long)layer.launchesBefore, double(layer.bytesBefore) * 1e-6,
              (long long)layer.launches, double(layer.bytes) * 1e-6);
}

static void printLayers(const Description &description,
                        const std::vector<int64_t> &sizes) {
  std::vector<LayerCosts> layers = layerCosts(description, sizes);
  if (layers.empty())
    return;
  std::printf("before fusion, with a launch for each operation, and after\n"
              "  %-32s %10s %12s %10s %12s\n",
              "layer", "launches", "MB moved", "launches", "MB moved");
  LayerCosts all;
  for (const LayerCosts &layer : layers) {
    if (layers.size() > 1)
      printLayer(layer, layer.layer.empty() ? "(no layer)" : layer.layer);
    all.launchesBefore += layer.launchesBefore;
    all.bytesBefore += layer.bytesBefore;
    all.launches += layer.launches;
    all.bytes += layer.bytes;
  }
  printLayer(all, "all");
}

static void printText(const Description &description,
                      const std::vector<int64_t> &sizes) {
  printValues(description, "inputs", description.inputs);
  printValues(description, "outputs", description.outputs);
  printSymbols(description);
  if (!description.assumes.empty())
    std::printf("assumes\n");
  for (const std::string &assumption : description.assumes)
    std::printf("  %s\n", assumption.c_str());
  std::printf("launches: %zu\n", description.launches.size());
  for (const auto &[name, kind] : countKinds(description))
    std::printf("  %-32s %lld, %zu kernel%s\n", name.c_str(),
                (long long)kind.launches, kind.kernels.size(),
                kind.kernels.size() == 1 ? "" : "s");
  std::printf("weights: %.3f MB\n", double(description.weightBytes) * 1e-6);
  if (description.total) {
    std::printf("FLOPs: %s\n", description.total->flops.text().c_str());
    std::printf("bytes read: %s\n",
                description.total->readBytes.text().c_str());
    std::printf("bytes written: %s\n",
                description.total->writtenBytes.text().c_str());
  }
  std::printf("arena: the highest end of %zu slices, no lower than the largest "
              "of\n",
              description.slices.size());
  for (const Expression &live : description.live)
    std::printf("  %s\n", live.text().c_str());

  LaunchCosts sum =
      sumCosts(launchCosts(description, sizes, 1, limitsOf(description)));
  int64_t arena = description.arenaBytes(sizes);
  int64_t live = description.liveBytes(sizes);
  std::printf("at %s\n", describeSizes(description, sizes).c_str());
  std::printf("  FLOPs                            %.6f GFLOP%s\n",
              double(sum.flops) * 1e-9,
              sum.known ? "" : ", without launches that depend on data");
  std::printf("  compulsory bytes                 %.3f MB\n",
              double(sum.bytes) * 1e-6);
  std::printf("  arena                            %lld bytes, lower bound "
              "%lld, gap %.2f %%\n",
              (long long)arena, (long long)live,
              live ? 100.0 * double(arena - live) / double(live) : 0);
  if (description.decoder) {
    int64_t caches = description.stateBytes(sizes);
    std::printf("  caches                           %lld bytes\n"
                "  weights, caches and arena        %.3f MB\n",
                (long long)caches,
                double(description.weightBytes + caches + arena) * 1e-6);
  }
  printLayers(description, sizes);
}

static void printJsonValues(const Description &description, const char *title,
                            const std::vector<Value> &values) {
  std::printf("  \"%s\": [", title);
  for (size_t i = 0; i < values.size(); ++i)
    std::printf("%s{\"name\": %s, \"type\": \"%s\", \"shape\": %s}",
                i ? ", " : "", jsonString(values[i].name).c_str(),
                tn_type_name(values[i].type),
                jsonString(shapeText(description, values[i])).c_str());
  std::printf("],\n");
}

static void printJson(const Description &description,
                      const std::vector<int64_t> &sizes) {
  std::printf("{\n");
  printJsonValues(description, "inputs", description.inputs);
  printJsonValues(description, "outputs", description.outputs);
  std::printf("  \"symbols\": [");
  for (size_t i = 0; i < sizes.size(); ++i) {
    const Symbol &symbol = description.symbols[i];
    std::printf("%s{\"name\": %s, \"min\": %lld, \"max\": %lld, \"hint\": "
                "%lld, \"size\": %lld}",
                i ? ", " : "", jsonString(symbol.name).c_str(),
                (long long)symbol.min, (long long)symbol.max,
                (long long)symbol.hint, (long long)sizes[i]);
  }
  std::printf("],\n  \"assumes\": [");
  for (size_t i = 0; i < description.assumes.size(); ++i)
    std::printf("%s%s", i ? ", " : "",
                jsonString(description.assumes[i]).c_str());
  std::printf("],\n  \"launches\": {");
  bool isFirst = true;
  for (const auto &[name, kind] : countKinds(description)) {
    std::printf("%s%s: %lld", isFirst ? "" : ", ", jsonString(name).c_str(),
                (long long)kind.launches);
    isFirst = false;
  }
  LaunchCosts sum =
      sumCosts(launchCosts(description, sizes, 1, limitsOf(description)));
  std::printf("},\n  \"weight_bytes\": %lld,\n  \"flops\": %lld,\n  "
              "\"compulsory_bytes\": %lld,\n  \"arena_bytes\": %lld,\n  "
              "\"arena_lower_bound\": %lld,\n  \"cache_bytes\": %lld,\n  "
              "\"layers\": [",
              (long long)description.weightBytes, (long long)sum.flops,
              (long long)sum.bytes, (long long)description.arenaBytes(sizes),
              (long long)description.liveBytes(sizes),
              (long long)description.stateBytes(sizes));
  isFirst = true;
  for (const LayerCosts &layer : layerCosts(description, sizes)) {
    std::printf("%s\n    {\"layer\": %s, \"launches_before\": %lld, "
                "\"bytes_before\": %lld, \"launches\": %lld, \"bytes\": "
                "%lld}",
                isFirst ? "" : ",", jsonString(layer.layer).c_str(),
                (long long)layer.launchesBefore, (long long)layer.bytesBefore,
                (long long)layer.launches, (long long)layer.bytes);
    isFirst = false;
  }
  std::printf("]\n}\n");
}

int tenon::runtime::infoCommand(const Arguments &arguments) {
  Description description = readDescriptionFile(arguments.artifact);
  std::vector<int64_t> sizes = chooseSizes(description, arguments.shape);
  if (!arguments.graph.empty()) {
    std::string picture =
        drawLaunchGraph(description, sizes, threadCount(arguments));
    writeFile(arguments.graph, {picture.begin(), picture.end()});
  }
  arguments.json ? printJson(description, sizes)
                 : printText(description, sizes);
  return 0;
}
