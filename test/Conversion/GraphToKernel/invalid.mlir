// RUN: tenon-opt %s --convert-graph-to-kernel --split-input-file --verify-diagnostics

func.func @branches_of_different_sizes(%c: tensor<i1>, %x: tensor<?xf32> {tenon.dims = ["n"]}) -> tensor<?xf32> {
  %n = graph.symbol "n" range 0 to 100
  %d = graph.read %c : tensor<i1> -> i1
  // expected-error@+1 {{gives a tensor of type 'tensor<?xf32>' whose sizes depend on data or differ from one branch to the other, which is unsupported}}
  %0 = scf.if %d -> tensor<?xf32> {
    scf.yield %x : tensor<?xf32>
  } else {
    %1 = graph.concat %x, %x axis 0 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
    scf.yield %1 : tensor<?xf32>
  }
  return %0 : tensor<?xf32>
}

// -----

func.func @growing(%keep: tensor<i1>, %x: tensor<?xf32> {tenon.dims = ["n"]}) -> tensor<?xf32> {
  %n = graph.symbol "n" range 0 to 100
  // expected-error@+1 {{carries a tensor of type 'tensor<?xf32>' whose sizes depend on data or differ from one iteration to the other}}
  %0 = scf.while (%k = %keep, %v = %x) : (tensor<i1>, tensor<?xf32>) -> tensor<?xf32> {
    %d = graph.read %k : tensor<i1> -> i1
    scf.condition(%d) %v : tensor<?xf32>
  } do {
  ^bb0(%v: tensor<?xf32>):
    %1 = graph.concat %v, %v axis 0 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
    scf.yield %keep, %1 : tensor<i1>, tensor<?xf32>
  }
  return %0 : tensor<?xf32>
}
