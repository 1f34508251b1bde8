// A size that no op reads keeps its range and its hint in every phase: the
// description states it, and a run checks it.

// RUN: tenon-opt %s --tenon-simplify --tenon-compress --tenon-fuse --tenon-schedule --tenon-plan | FileCheck %s

// CHECK: plan.symbol "n" range 1 to 8 hint 4
// CHECK: plan.symbol "m" range 2 to 16 hint 3
func.func @main(%x: tensor<?xf32> {tenon.name = "x", tenon.dims = ["n"]},
                %y: tensor<?xf32> {tenon.name = "y", tenon.dims = ["m"]},
                %z: tensor<4xf32> {tenon.name = "z"})
    -> (tensor<?xf32> {tenon.name = "same"}, tensor<4xf32> {tenon.name = "negated"}) {
  %n = graph.symbol "n" range 1 to 8 hint 4
  %m = graph.symbol "m" range 2 to 16 hint 3
  %0 = graph.neg %z : tensor<4xf32> -> tensor<4xf32>
  return %x, %0 : tensor<?xf32>, tensor<4xf32>
}
