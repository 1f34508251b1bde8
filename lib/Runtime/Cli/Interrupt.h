// Ctrl-C as a question that a loop asks, instead of the end of the process.
#ifndef TENON_RUNTIME_CLI_INTERRUPT_H
#define TENON_RUNTIME_CLI_INTERRUPT_H

#include <csignal>
#include <ctime>

namespace tenon::runtime {

/// Holds SIGINT back from this thread and those that it makes while it lives,
/// unless the process ignores it.
class Interrupt {
public:
  Interrupt() {
    struct sigaction action;
    isIgnored = sigaction(SIGINT, nullptr, &action) == 0 &&
                action.sa_handler == SIG_IGN;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, &before);
  }
  ~Interrupt() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
  Interrupt(const Interrupt &) = delete;
  Interrupt &operator=(const Interrupt &) = delete;

  /// Whether it has come, ever.
  bool isAsked() {
    timespec now = {};
    isAskedFor |= !isIgnored && sigtimedwait(&signals, nullptr, &now) == SIGINT;
    return isAskedFor;
  }

private:
  sigset_t signals, before;
  bool isIgnored = false, isAskedFor = false;
};

} // namespace tenon::runtime

#endif // TENON_RUNTIME_CLI_INTERRUPT_H
