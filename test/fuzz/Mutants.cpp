#include "Mutants.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <iterator>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace tenon::fuzz;

extern "C" const char *__asan_default_options() {
  return "exitcode=99:detect_leaks=0:allocator_may_return_null=1:"
         "detect_container_overflow=0:allow_user_poisoning=0";
}
extern "C" const char *__ubsan_default_options() {
  return "halt_on_error=1:exitcode=99";
}

int64_t tenon::fuzz::oddNumber(Random &random) {
  static const int64_t numbers[] = {
      0,         1,         -1,        2,
      3,         INT8_MAX,  INT16_MAX, INT32_MAX,
      INT32_MIN, INT64_MAX, 4096,      INT64_MIN,
      7,         0x80,      64,        int64_t(1) << 32};
  return numbers[below(std::size(numbers), random)];
}

void tenon::fuzz::damage(Bytes &bytes, size_t begin, size_t end, bool isFixed,
                         Random &random) {
  static const char letters[] = "0123456789 -,%\n?abcdefxyz\"()*";
  for (size_t changes = 1 + below(4, random); changes > 0 && end > begin;
       --changes) {
    size_t at = begin + below(end - begin, random);
    size_t length = std::min(1 + below(16, random), end - at);
    switch (below(isFixed ? 5 : 9, random)) {
    case 0:
      bytes[at] = char(bytes[at] ^ 1 << below(8, random));
      break;
    case 1:
      bytes[at] = char(random());
      break;
    case 2: // where there is text
      bytes[at] = letters[below(sizeof(letters) - 1, random)];
      break;
    case 3: {
      int64_t number = oddNumber(random);
      std::memcpy(&bytes[at], &number, std::min<size_t>(length, 8));
      break;
    }
    case 4: // what lies elsewhere
      std::memmove(&bytes[at],
                   &bytes[begin + below(end - begin - length + 1, random)],
                   length);
      break;
    case 5:
      bytes.erase(bytes.begin() + at, bytes.begin() + at + length);
      end -= length;
      break;
    case 6: {
      Bytes copy(bytes.begin() + at, bytes.begin() + at + length);
      bytes.insert(bytes.begin() + at, copy.begin(), copy.end());
      end += length;
      break;
    }
    case 7:
      bytes.resize(at);
      end = at;
      break;
    case 8:
      bytes.insert(bytes.begin() + at, length, char(random()));
      end += length;
      break;
    }
  }
}

Outcome tenon::fuzz::isolated(const std::function<int()> &body) {
  std::fflush(nullptr);
  pid_t child = fork();
  if (child == 0) {
    alarm(20);
    int nothing = open("/dev/null", O_WRONLY);
    dup2(nothing, 1);
    dup2(nothing, 2);
    _exit(body());
  }
  int status = 0;
  rusage usage = {};
  if (child < 0 || wait4(child, &status, 0, &usage) != child) {
    std::perror("cannot run a process");
    std::exit(2);
  }
  auto seconds = [](const timeval &time) {
    return double(time.tv_sec) + double(time.tv_usec) * 1e-6;
  };
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1 - WTERMSIG(status),
          seconds(usage.ru_utime) + seconds(usage.ru_stime),
          usage.ru_maxrss >> 10};
}

std::string tenon::fuzz::makeFolder() {
  char memory[] = "/dev/shm/tenon-fuzz.XXXXXX", disk[] = "/tmp/fuzz.XXXXXX";
  const char *made = mkdtemp(memory);
  made = made ? made : mkdtemp(disk);
  if (!made) {
    std::perror("cannot make a folder");
    std::exit(2);
  }
  return made;
}

void Tally::add(uint64_t seed, const Outcome &outcome, const Bytes &bytes,
                const std::string &suffix) {
  longest = std::max(longest, outcome.seconds);
  largest = std::max(largest, outcome.megabytes);
  bool isRefused = outcome.code == 1 || outcome.code == 3;
  if ((outcome.code == 0 || isRefused) && outcome.seconds < slowest + 2 &&
      outcome.megabytes < 1024) {
    ++(isRefused ? refused : taken);
    return;
  }
  ++bad;
  std::string kept = "fuzz-" + what + "-" + std::to_string(seed) + suffix;
  if (FILE *file = std::fopen(kept.c_str(), "wb")) {
    std::fwrite(bytes.data(), 1, bytes.size(), file);
    std::fclose(file);
  }
  std::printf("seed %llu: ended with %d after %.1f s in %lld MB: %s\n",
              (unsigned long long)seed, outcome.code, outcome.seconds,
              (long long)outcome.megabytes, kept.c_str());
}

int Tally::report() const {
  std::printf("%llu %s: %llu taken, %llu refused, %llu bad; at most %.2f s "
              "(whole files %.2f s), %lld MB\n",
              (unsigned long long)(taken + refused + bad), what.c_str(),
              (unsigned long long)taken, (unsigned long long)refused,
              (unsigned long long)bad, longest, slowest, (long long)largest);
  return bad != 0;
}
