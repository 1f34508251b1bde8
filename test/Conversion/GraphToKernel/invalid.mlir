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

// -----

func.func @nameless_size(%x: tensor<4x?xf32>) -> tensor<4x?xf32> {
  // expected-error@-1 {{argument of type 'tensor<4x?xf32>' needs tenon.dims that name dimension 1}}
  return %x : tensor<4x?xf32>
}

// -----

func.func @too_few_names(%x: tensor<?x?xf32> {tenon.dims = ["n"]}) -> tensor<?x?xf32> {
  // expected-error@-1 {{argument of type 'tensor<?x?xf32>' needs tenon.dims that name dimension 1}}
  return %x : tensor<?x?xf32>
}

// -----

// Simplify makes an expression over symbols of it.
func.func @size_of_a_tensor(%x: tensor<?xf32> {tenon.dims = ["n"]}) {
  // expected-error@+1 {{has no lowering to kernel}}
  %0 = graph.dim %x, 0 : tensor<?xf32>
  return
}

// -----

func.func @size_known_in_a_branch(%c: tensor<i1>, %m: tensor<i64>) {
  %d = graph.read %c : tensor<i1> -> i1
  scf.if %d {
    %r = graph.read %m : tensor<i64> -> i64
    // expected-error@+1 {{computes with a value that is known only when a loop or branch runs}}
    %0 = arith.index_cast %r : i64 to index
  }
  return
}

// -----

func.func @size_that_is_data(%x: tensor<4xf32>, %n: index) -> tensor<?xf32> {
  // expected-error@+1 {{needs a tensor of type 'tensor<?xf32>' whose sizes depend on data, which is unsupported}}
  %0 = graph.reshape %x to [%n] : tensor<4xf32> -> tensor<?xf32>
  return %0 : tensor<?xf32>
}

// -----

func.func @less_known(%x: tensor<4x8xf32>) -> tensor<?x4xf32> {
  // expected-error@+1 {{has type 'tensor<?x4xf32>', but its operands give 'tensor<8x4xf32>'}}
  %0 = graph.transpose %x [1, 0] : tensor<4x8xf32> -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

func.func @counts_of_one_name(%x: tensor<i64>, %y: tensor<i64>) -> (tensor<?xi64>, tensor<?xi64>) {
  %n = graph.symbol "n" range 0 to 100
  %zero = arith.constant 0 : index
  %0 = graph.count "c" %x at_most %n : tensor<i64>
  // expected-error@+1 {{has the name 'c', as another count or symbol}}
  %1 = graph.count "c" %y at_most %n : tensor<i64>
  %2 = graph.iota %zero step 1 size %0 : tensor<?xi64>
  %3 = graph.iota %zero step 1 size %1 : tensor<?xi64>
  return %2, %3 : tensor<?xi64>, tensor<?xi64>
}
