// Reads section and program headers of a 64-bit ELF file.
#include "ArtifactFile.h"
#include "Checksum.h"
#include "Failure.h"
#include "Processor.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <optional>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

using namespace tenon::runtime;

namespace {
/// A tn_note, or as much as there is of it, and where in the file it lies.
struct Note {
  tn_note content;
  uint64_t position, bytes;
};

/// An open file that knows its size.
class Reader {
public:
  explicit Reader(const std::string &path) : path(path) {
    descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
      fail(TN_ERROR_ARTIFACT, "cannot open artifact '", path,
           "': ", std::strerror(errno));
    if (fstat(descriptor, &state) != 0 || !S_ISREG(state.st_mode)) {
      close(descriptor);
      fail(TN_ERROR_ARTIFACT, "artifact '", path, "' is not a file");
    }
  }
  ~Reader() { close(descriptor); }

  uint64_t size() const { return uint64_t(state.st_size); }

  void read(void *into, uint64_t bytes, uint64_t offset, const char *what) {
    if (offset > size() || bytes > size() - offset)
      fail(TN_ERROR_ARTIFACT, "artifact '", path, "' is truncated: ", what,
           " need bytes up to ", offset + bytes, ", the file has ", size());
    uint64_t done = 0;
    while (done < bytes) {
      ssize_t got = pread(descriptor, static_cast<char *>(into) + done,
                          bytes - done, off_t(offset + done));
      if (got < 0 && errno == EINTR)
        continue;
      if (got <= 0)
        fail(TN_ERROR_ARTIFACT, "cannot read artifact '", path,
             "': ", got < 0 ? std::strerror(errno) : "it became shorter");
      done += uint64_t(got);
    }
  }

  std::string path;
  int descriptor;
  struct stat state;
};
} // namespace

/// Finds the note "Tenon" of type 1 in the bytes of a section or segment.
static std::optional<Note> findNote(Reader &file, uint64_t offset,
                                    uint64_t bytes, uint64_t alignment) {
  // A note section is small; a damaged header must not allocate the world.
  if (bytes > 1 << 20)
    return std::nullopt;
  std::vector<char> data(bytes);
  file.read(data.data(), bytes, offset, "its notes");
  uint64_t align = alignment == 8 ? 8 : 4;
  auto alignUp = [&](uint64_t value) { return (value + align - 1) & -align; };
  for (uint64_t at = 0; at + sizeof(Elf64_Nhdr) <= bytes;) {
    Elf64_Nhdr header;
    std::memcpy(&header, data.data() + at, sizeof(header));
    uint64_t name = at + sizeof(header);
    uint64_t content = alignUp(name + header.n_namesz);
    uint64_t end = content + header.n_descsz;
    if (end > bytes)
      return std::nullopt;
    if (header.n_type == 1 && header.n_namesz == 6 &&
        std::memcmp(data.data() + name, "Tenon", 6) == 0 &&
        header.n_descsz >= sizeof(tn_note::abi)) {
      // One of another version may be shorter.
      Note note = {{}, offset + content, header.n_descsz};
      std::memcpy(&note.content, data.data() + content,
                  std::min<size_t>(header.n_descsz, sizeof(note.content)));
      return note;
    }
    at = alignUp(end);
  }
  return std::nullopt;
}

static std::optional<Note> findNote(Reader &file, const Elf64_Ehdr &header) {
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  file.read(sections.data(), sections.size() * sizeof(Elf64_Shdr),
            header.e_shoff, "its section headers");
  for (const Elf64_Shdr &section : sections)
    if (section.sh_type == SHT_NOTE)
      if (auto note = findNote(file, section.sh_offset, section.sh_size,
                               section.sh_addralign))
        return note;
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  file.read(segments.data(), segments.size() * sizeof(Elf64_Phdr),
            header.e_phoff, "its program headers");
  for (const Elf64_Phdr &segment : segments)
    if (segment.p_type == PT_NOTE)
      if (auto note = findNote(file, segment.p_offset, segment.p_filesz,
                               segment.p_align))
        return note;
  return std::nullopt;
}

/// What ELF calls the machine that this runtime was compiled for.
#if defined(__x86_64__)
static constexpr uint16_t thisMachine = EM_X86_64;
#elif defined(__aarch64__)
static constexpr uint16_t thisMachine = EM_AARCH64;
#else
static constexpr uint16_t thisMachine = EM_NONE;
#endif

static std::string machineName(uint16_t machine) {
  switch (machine) {
  case EM_X86_64:
    return "x86-64";
  case EM_AARCH64:
    return "AArch64";
  case EM_RISCV:
    return "RISC-V";
  }
  return "another architecture (number " + std::to_string(machine) + " of ELF)";
}

/// Compares the checksum of the note with the file's. What is loaded and run
/// must be what the compiler wrote.
static void verifyChecksum(Reader &file, const Note &note) {
  const tn_note &content = note.content;
  uint64_t hole = note.position + offsetof(tn_note, checksum);
  uint64_t begin = content.beside ? note.position : 0;
  uint64_t end =
      content.beside ? note.position + sizeof(tn_note) : content.weight_offset;
  if (hole + sizeof(content.checksum) > end)
    fail(TN_ERROR_ARTIFACT, "artifact '", file.path, "' has a damaged note");
  uint32_t found = 0;
  std::vector<char> buffer(1 << 16);
  for (uint64_t at = begin; at < end;) {
    uint64_t bytes = std::min<uint64_t>(buffer.size(), end - at);
    file.read(buffer.data(), bytes, at, "its checksum");
    for (uint64_t i = 0; i < sizeof(content.checksum); ++i)
      if (hole + i >= at && hole + i < at + bytes)
        buffer[hole + i - at] = 0;
    found = crc32(found, buffer.data(), bytes);
    at += bytes;
  }
  if (found != content.checksum)
    fail(TN_ERROR_ARTIFACT, "artifact '", file.path,
         "' is damaged: the checksum in it is ", content.checksum,
         ", that of its bytes is ", found);
}

/// The code must be for this machine, and its processor must have what the code
/// needs: the first kernel would end the process.
static void verifyProcessor(const std::string &path, uint16_t machine,
                            uint64_t features) {
  if (machine != thisMachine)
    fail(TN_ERROR_ARTIFACT, "artifact '", path, "' is made for ",
         machineName(machine), ", this machine is ", machineName(thisMachine));
  std::string missing = missingFeatures(features, usableFeatures(features));
  if (!missing.empty())
    fail(TN_ERROR_ARTIFACT, "artifact '", path,
         "' needs a processor with features that this one lacks (", missing,
         "): compile the model with --cpu x86-64-v3, which needs the least");
}

ArtifactFile::ArtifactFile(const std::string &path) {
  Reader file(path);
  Elf64_Ehdr header;
  if (file.size() < sizeof(header))
    fail(TN_ERROR_ARTIFACT, "artifact '", path, "' is truncated: it has ",
         file.size(), " bytes, an ELF header has ", sizeof(header));
  file.read(&header, sizeof(header), 0, "its ELF header");
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB)
    fail(TN_ERROR_ARTIFACT, "'", path,
         "' is not an artifact: not a 64-bit little-endian ELF file");
  if ((header.e_shnum && header.e_shentsize != sizeof(Elf64_Shdr)) ||
      (header.e_phnum && header.e_phentsize != sizeof(Elf64_Phdr)))
    fail(TN_ERROR_ARTIFACT, "artifact '", path, "' has damaged ELF headers");
  std::optional<Note> note = findNote(file, header);
  if (!note)
    fail(TN_ERROR_ARTIFACT, "'", path,
         "' is not an artifact: it has no ELF note named 'Tenon'");
  const tn_note &content = note->content;
  if (content.abi != TN_ABI_VERSION)
    fail(TN_ERROR_ARTIFACT, "artifact '", path, "' has ABI version ",
         content.abi, ", this runtime has ABI version ", TN_ABI_VERSION,
         ": compile the model again");
  if (note->bytes < sizeof(content))
    fail(TN_ERROR_ARTIFACT, "artifact '", path, "' has a damaged note");
  verifyChecksum(file, *note);
  verifyProcessor(path, header.e_machine, content.features);
  if (!content.beside) {
    mapWeights(file.descriptor, file.size(), path, content);
  } else if (content.weight_bytes) {
    Reader weights(path + ".weights");
    mapWeights(weights.descriptor, weights.size(), weights.path, content);
  }
  struct stat self;
  program = stat("/proc/self/exe", &self) == 0 &&
            self.st_dev == file.state.st_dev &&
            self.st_ino == file.state.st_ino;
}

void ArtifactFile::mapWeights(int descriptor, uint64_t size,
                              const std::string &path, const tn_note &note) {
  uint64_t offset = note.weight_offset, bytes = note.weight_bytes;
  if (offset > size || bytes > size - offset)
    fail(TN_ERROR_ARTIFACT, "artifact '", path,
         "' is truncated: its weights need bytes up to ", offset + bytes,
         ", the file has ", size);
  if (size > offset + bytes)
    fail(TN_ERROR_ARTIFACT, "artifact '", path, "' has ", size - offset - bytes,
         " bytes too many: its weights end at ", offset + bytes,
         ", the file has ", size);
  if (bytes == 0)
    return;
  if (offset % 4096 != 0)
    fail(TN_ERROR_ARTIFACT, "artifact '", path, "' has its weights at ", offset,
         ", which is no multiple of 4096");
  void *result =
      mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, descriptor, off_t(offset));
  if (result == MAP_FAILED)
    fail(TN_ERROR_ARTIFACT, "cannot map the ", bytes, " bytes of weights of '",
         path, "': ", std::strerror(errno));
  mapping = result;
  mappedBytes = bytes;
}

ArtifactFile::~ArtifactFile() {
  if (mapping)
    munmap(mapping, mappedBytes);
}

const uint8_t *ArtifactFile::weights() const {
  static const uint8_t none[64] = {};
  return mapping ? static_cast<const uint8_t *>(mapping) : none;
}

void ArtifactFile::expectLookUps(int64_t position, int64_t bytes) const {
  constexpr int64_t page = 4096;
  // Only what lies within the mapping, whatever a description says.
  if (position < 0 || bytes < 0 || position > int64_t(mappedBytes) ||
      bytes > int64_t(mappedBytes) - position)
    return;
  int64_t begin = (position + page - 1) / page * page;
  int64_t end = (position + bytes) / page * page;
  // A wish, which a kernel need not know; without it runs are the same.
  if (end > begin)
    madvise(static_cast<uint8_t *>(mapping) + begin, size_t(end - begin),
            MADV_NOHUGEPAGE);
}

/// The offset in the file of what is loaded at `address`.
static uint64_t fileOffset(Reader &file, const Elf64_Ehdr &header,
                           uint64_t address) {
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  file.read(segments.data(), segments.size() * sizeof(Elf64_Phdr),
            header.e_phoff, "its program headers");
  for (const Elf64_Phdr &segment : segments)
    if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
        address - segment.p_vaddr < segment.p_filesz)
      return address - segment.p_vaddr + segment.p_offset;
  fail(TN_ERROR_ARTIFACT, "artifact '", file.path,
       "' has a description outside of its segments");
}

/// Finds a symbol that the artifact exports, by name.
static Elf64_Sym findSymbol(Reader &file, const Elf64_Ehdr &header,
                            const std::string &wanted) {
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  file.read(sections.data(), sections.size() * sizeof(Elf64_Shdr),
            header.e_shoff, "its section headers");
  for (const Elf64_Shdr &section : sections) {
    if (section.sh_type != SHT_DYNSYM || section.sh_link >= sections.size() ||
        section.sh_size > 1 << 24)
      continue;
    const Elf64_Shdr &names = sections[section.sh_link];
    if (names.sh_size > 1 << 24)
      continue;
    std::vector<Elf64_Sym> symbols(section.sh_size / sizeof(Elf64_Sym));
    file.read(symbols.data(), symbols.size() * sizeof(Elf64_Sym),
              section.sh_offset, "its symbols");
    std::string text(names.sh_size, '\0');
    file.read(text.data(), text.size(), names.sh_offset, "its names");
    for (const Elf64_Sym &symbol : symbols)
      if (symbol.st_name < text.size() &&
          wanted == text.c_str() + symbol.st_name)
        return symbol;
  }
  fail(TN_ERROR_ARTIFACT, "'", file.path, "' is not an artifact: it has no '",
       wanted, "'");
}

std::string tenon::runtime::readDescription(const std::string &path) {
  constexpr uint64_t largest = 1 << 28;
  Reader file(path);
  Elf64_Ehdr header;
  if (file.size() >= sizeof(header))
    file.read(&header, sizeof(header), 0, "its ELF header");
  bool isElf = file.size() >= sizeof(header) &&
               std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0;
  uint64_t offset = 0, bytes = file.size();
  if (isElf) {
    if (header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_shentsize != sizeof(Elf64_Shdr) ||
        header.e_phentsize != sizeof(Elf64_Phdr))
      fail(TN_ERROR_ARTIFACT, "artifact '", path, "' has damaged ELF headers");
    Elf64_Sym symbol = findSymbol(file, header, "tenon_description");
    offset = fileOffset(file, header, symbol.st_value);
    bytes = symbol.st_size;
  }
  if (bytes > largest)
    fail(TN_ERROR_ARTIFACT, "'", path, "' has a description of ", bytes,
         " bytes, more than ", largest);
  std::string text(bytes, '\0');
  file.read(text.data(), bytes, offset, "its description");
  return text.substr(0, text.find('\0'));
}
