#include "tenon/Target/Interface/Target.h"
#include "mlir/Pass/PassManager.h"
#include "gtest/gtest.h"

using namespace tenon;

namespace {

/// A target with two machines and nothing else.
class Abacus : public Target {
public:
  explicit Abacus(std::string prefix) {
    for (const char *suffix : {"-small", "-large"}) {
      TargetFacts facts = avx2Facts();
      facts.name = prefix + suffix;
      machines.push_back(facts);
    }
    title = prefix;
  }
  llvm::StringRef name() const override { return title; }
  llvm::ArrayRef<TargetFacts> facts() const override { return machines; }
  llvm::ArrayRef<KernelFamily> families() const override { return {}; }
  void buildLoweringPipeline(mlir::OpPassManager &,
                             const TargetFacts &) const override {}
  llvm::ArrayRef<llvm::StringLiteral> emitKinds() const override { return {}; }
  mlir::LogicalResult emit(mlir::ModuleOp, const TargetFacts &,
                           const EmitOptions &,
                           llvm::StringRef) const override {
    return mlir::failure();
  }

private:
  std::string title;
  std::vector<TargetFacts> machines;
};

} // namespace

TEST(Target, IsChosenByItsNameOrThatOfAMachine) {
  Abacus wood("wood"), brass("brass");
  const Target *all[] = {&wood, &brass};
  TargetChoice named = llvm::cantFail(chooseTarget(all, "brass"));
  EXPECT_EQ(named.target, &brass);
  EXPECT_EQ(named.facts.name, "brass-small");
  TargetChoice machine = llvm::cantFail(chooseTarget(all, "wood-large"));
  EXPECT_EQ(machine.target, &wood);
  EXPECT_EQ(machine.facts.name, "wood-large");
}

TEST(Target, SaysWhichNamesThereAre) {
  Abacus wood("wood"), brass("brass");
  const Target *all[] = {&wood, &brass};
  auto choice = chooseTarget(all, "tin");
  ASSERT_FALSE(bool(choice));
  EXPECT_EQ(llvm::toString(choice.takeError()),
            "there is no target 'tin'; there are wood, wood-small, wood-large, "
            "brass, brass-small, brass-large, and facts files, which end in "
            ".json");
}
