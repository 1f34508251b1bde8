// A process that works for this one: a signal that would end this one while the
// other runs is for both.
#ifndef TENON_TOOLS_TENON_CHILD_H
#define TENON_TOOLS_TENON_CHILD_H

#include <csignal>
#include <sys/types.h>

/// While it lives, such signals are handed on to the child and do not end this
/// process, so that it can remove what the child began; then it should raise
/// caughtSignal().
class ChildSignals {
public:
  ChildSignals();
  ~ChildSignals();
  ChildSignals(const ChildSignals &) = delete;
  ChildSignals &operator=(const ChildSignals &) = delete;

  /// Names the child, which gets what came before it was known.
  void handTo(pid_t child);
  /// In a child that was forked: signals are its own again.
  void release();

private:
  static constexpr int signals[] = {SIGINT, SIGTERM, SIGHUP};
  struct sigaction before[3];
};

/// The last signal that was handed on, or 0.
int caughtSignal();

#endif // TENON_TOOLS_TENON_CHILD_H
