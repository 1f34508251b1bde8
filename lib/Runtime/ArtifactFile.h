// The file of an artifact: finds its ELF note and maps its weights.
#ifndef TENON_RUNTIME_ARTIFACTFILE_H
#define TENON_RUNTIME_ARTIFACTFILE_H

#include "tenon-c/ModuleAbi.h"
#include <cstddef>
#include <cstdint>
#include <string>

namespace tenon::runtime {

/// Checks the file without running any of its code: that it is whole, of this
/// version and made for this machine. What the weights are is not checked: no
/// value of theirs can do more than give other numbers. Throws Failure.
class ArtifactFile {
public:
  explicit ArtifactFile(const std::string &path);
  ~ArtifactFile();
  ArtifactFile(const ArtifactFile &) = delete;
  ArtifactFile &operator=(const ArtifactFile &) = delete;

  /// The mapped weights, read-only; never null.
  const uint8_t *weights() const;
  /// Says that of these bytes of the weights a run reads a few rows, so that
  /// what lies around these does not count as memory of the process.
  void expectLookUps(int64_t position, int64_t bytes) const;
  /// Whether the file is the program that runs.
  bool isProgram() const { return program; }

private:
  /// Maps what `note` says of a file of `size` bytes.
  void mapWeights(int descriptor, uint64_t size, const std::string &path,
                  const tn_note &note);

  void *mapping = nullptr;
  size_t mappedBytes = 0;
  bool program = false;
};

/// The text of tenon_description, found in the file of an artifact without
/// loading it; or the whole file if it is no ELF file but the text alone.
/// Throws Failure.
std::string readDescription(const std::string &path);

} // namespace tenon::runtime

#endif // TENON_RUNTIME_ARTIFACTFILE_H
