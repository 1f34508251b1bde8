#include "tenon/Target/Skeleton/SkeletonTarget.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace tenon;

TEST(SkeletonTarget, IsFoundByItsNameAndItsMachine) {
  const Target *targets[] = {&skeletonTarget()};
  for (const char *name : {"skeleton", "skeleton-1"}) {
    auto choice = chooseTarget(targets, name);
    ASSERT_TRUE(bool(choice)) << llvm::toString(choice.takeError());
    EXPECT_EQ(choice->target, &skeletonTarget());
    EXPECT_EQ(choice->facts.name, "skeleton-1");
  }
  auto none = chooseTarget(targets, "z80");
  ASSERT_FALSE(bool(none));
  EXPECT_NE(llvm::toString(none.takeError()).find("skeleton"),
            std::string::npos);
}

TEST(SkeletonTarget, WritesWhatItSaysAndNothingElse) {
  MLIRContext context;
  std::string error;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    error = diagnostic.str();
    return success();
  });
  OwningOpRef<ModuleOp> plan = ModuleOp::create(UnknownLoc::get(&context));
  plan.get()->setAttr("tenon.phase", StringAttr::get(&context, "plan"));
  std::string path = testing::TempDir() + "/skeleton.mlir";
  llvm::sys::fs::remove(path); // of an earlier run
  EmitOptions options;
  options.kind = "so";
  TargetFacts facts = skeletonTarget().facts().front();
  EXPECT_TRUE(failed(skeletonTarget().emit(*plan, facts, options, path)));
  EXPECT_EQ(error, "cannot be emitted as 'so', only as plan");
  EXPECT_FALSE(llvm::sys::fs::exists(path));
  options.kind = "plan";
  ASSERT_TRUE(succeeded(skeletonTarget().emit(*plan, facts, options, path)));
  auto text = llvm::MemoryBuffer::getFile(path);
  ASSERT_TRUE(bool(text));
  EXPECT_TRUE((*text)->getBuffer().contains("tenon.phase = \"plan\""));
  EXPECT_TRUE(
      failed(skeletonTarget().emit(*plan, facts, options, "/none/x.mlir")));
  EXPECT_NE(error.find("/none/x.mlir"), std::string::npos);
}
