// RUN: tenon-opt %s --kernel-schedule-regions=target=x86-64-v3 --split-input-file --verify-diagnostics

func.func @product_of_no_input(%x: tensor<4x4xf32>) {
  %0 = kernel.region "r" inputs(%x : tensor<4x4xf32>) indices() sizes() -> tensor<4x4xf32> {
  ^bb0(%a: tensor<4x4xf32>):
    %e = tensor.empty() : tensor<4x4xf32>
    // expected-error@+1 {{must read inputs of its region}}
    %0 = kernel.contract %a, %e : tensor<4x4xf32>, tensor<4x4xf32> -> tensor<4x4xf32>
    kernel.yield %0 : tensor<4x4xf32>
  }
  return
}

// -----

func.func @product_of_vectors(%x: tensor<4xf32>) {
  %0 = kernel.region "r" inputs(%x : tensor<4xf32>) indices() sizes() -> tensor<4x4xf32> {
  ^bb0(%a: tensor<4xf32>):
    // expected-error@+1 {{multiplies tensors of rank 1 and 1, but both must be matrices}}
    %0 = kernel.contract %a, %a : tensor<4xf32>, tensor<4xf32> -> tensor<4x4xf32>
    kernel.yield %0 : tensor<4x4xf32>
  }
  return
}

// -----

func.func @product_of_types(%x: tensor<4x4xf32>, %y: tensor<4x4xi32>) {
  %0 = kernel.region "r" inputs(%x, %y : tensor<4x4xf32>, tensor<4x4xi32>) indices() sizes() -> tensor<4x4xf32> {
  ^bb0(%a: tensor<4x4xf32>, %b: tensor<4x4xi32>):
    // expected-error@+1 {{multiplies 'tensor<4x4xi32>' into 'tensor<4x4xf32>', but operands and result must have one element type, or the result f32, or i32 where both operands have i8}}
    %0 = kernel.contract %a, %b : tensor<4x4xf32>, tensor<4x4xi32> -> tensor<4x4xf32>
    kernel.yield %0 : tensor<4x4xf32>
  }
  return
}

// -----

func.func @bytes_in_single_rows(%x: tensor<4x4xi8>, %y: tensor<1x4x32xi8>) {
  %0 = kernel.region "r" inputs(%x, %y : tensor<4x4xi8>, tensor<1x4x32xi8>) indices() sizes() -> tensor<4x4xi32> {
  ^bb0(%a: tensor<4x4xi8>, %b: tensor<1x4x32xi8>):
    // expected-error@+1 {{reads 'tensor<1x4x32xi8>' in groups of 1, but multiplies groups of 4}}
    %0 = kernel.contract packed %a, %b : tensor<4x4xi8>, tensor<1x4x32xi8> -> tensor<4x4xi32>
    kernel.yield %0 : tensor<4x4xi32>
  }
  return
}

// -----

func.func @two_products(%x: tensor<4x4xf32>) {
  %0 = kernel.region "r" inputs(%x : tensor<4x4xf32>) indices() sizes() -> tensor<4x4xf32> {
  ^bb0(%a: tensor<4x4xf32>):
    %0 = kernel.contract %a, %a : tensor<4x4xf32>, tensor<4x4xf32> -> tensor<4x4xf32>
    // expected-error@+1 {{cannot stand beside a kernel.contract}}
    %1 = kernel.softmax %0 : tensor<4x4xf32> -> tensor<4x4xf32>
    kernel.yield %1 : tensor<4x4xf32>
  }
  return
}

// -----

func.func @yields_an_input(%x: tensor<4x4xf32>) {
  // expected-error@+1 {{has 1 results, but a contract yields one, the last value computed}}
  %0 = kernel.region "r" inputs(%x : tensor<4x4xf32>) indices() sizes() -> tensor<4x4xf32> {
  ^bb0(%a: tensor<4x4xf32>):
    %0 = kernel.contract %a, %a : tensor<4x4xf32>, tensor<4x4xf32> -> tensor<4x4xf32>
    kernel.yield %a : tensor<4x4xf32>
  }
  return
}

// -----

#identity = affine_map<(i, j) -> (i, j)>
func.func @bits(%x: tensor<4x4xf32>) {
  // expected-error@+1 {{cannot write 'tensor<4x4xi1>' by vectors}}
  %0 = kernel.region "r" inputs(%x : tensor<4x4xf32>) indices() sizes() -> tensor<4x4xi1> {
  ^bb0(%a: tensor<4x4xf32>):
    %0 = kernel.contract %a, %a : tensor<4x4xf32>, tensor<4x4xf32> -> tensor<4x4xf32>
    %e = tensor.empty() : tensor<4x4xi1>
    %1 = linalg.generic {indexing_maps = [#identity, #identity], iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<4x4xf32>) outs(%e : tensor<4x4xi1>) {
    ^bb0(%p: f32, %q: i1):
      %n = arith.cmpf olt, %p, %p : f32
      linalg.yield %n : i1
    } -> tensor<4x4xi1>
    kernel.yield %1 : tensor<4x4xi1>
  }
  return
}

// -----

#identity = affine_map<(i, j) -> (i, j)>
func.func @transposes(%x: tensor<4x4xf32>) {
  %0 = kernel.region "r" inputs(%x : tensor<4x4xf32>) indices() sizes() -> tensor<4x4xf32> {
  ^bb0(%a: tensor<4x4xf32>):
    %0 = kernel.contract %a, %a : tensor<4x4xf32>, tensor<4x4xf32> -> tensor<4x4xf32>
    %e = tensor.empty() : tensor<4x4xf32>
    // expected-error@+1 {{is no elementwise epilogue of a kernel.contract}}
    %1 = linalg.generic {indexing_maps = [#identity, affine_map<(i, j) -> (j, i)>], iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) {
    ^bb0(%p: f32, %q: f32):
      %n = arith.negf %p : f32
      linalg.yield %n : f32
    } -> tensor<4x4xf32>
    kernel.yield %1 : tensor<4x4xf32>
  }
  return
}

// -----

#identity = affine_map<(i, j) -> (i, j)>
func.func @diagonal_operand(%x: tensor<4x4xf32>, %y: tensor<7xf32>) {
  %0 = kernel.region "r" inputs(%x, %y : tensor<4x4xf32>, tensor<7xf32>) indices() sizes() -> tensor<4x4xf32> {
  ^bb0(%a: tensor<4x4xf32>, %b: tensor<7xf32>):
    %0 = kernel.contract %a, %a : tensor<4x4xf32>, tensor<4x4xf32> -> tensor<4x4xf32>
    %e = tensor.empty() : tensor<4x4xf32>
    // expected-error@+1 {{reads operand 1 through affine_map<(d0, d1) -> (d0 + d1)>, which an epilogue cannot}}
    %1 = linalg.generic {indexing_maps = [#identity, affine_map<(i, j) -> (i + j)>, #identity], iterator_types = ["parallel", "parallel"]} ins(%0, %b : tensor<4x4xf32>, tensor<7xf32>) outs(%e : tensor<4x4xf32>) {
    ^bb0(%p: f32, %r: f32, %q: f32):
      %n = arith.addf %p, %r : f32
      linalg.yield %n : f32
    } -> tensor<4x4xf32>
    kernel.yield %1 : tensor<4x4xf32>
  }
  return
}

// -----

#identity = affine_map<(i, j) -> (i, j)>
func.func @index_in_the_epilogue(%x: tensor<4x4xf32>) {
  %0 = kernel.region "r" inputs(%x : tensor<4x4xf32>) indices() sizes() -> tensor<4x4xf32> {
  ^bb0(%a: tensor<4x4xf32>):
    %0 = kernel.contract %a, %a : tensor<4x4xf32>, tensor<4x4xf32> -> tensor<4x4xf32>
    %e = tensor.empty() : tensor<4x4xf32>
    %1 = linalg.generic {indexing_maps = [#identity, #identity], iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) {
    ^bb0(%p: f32, %q: f32):
      // expected-error@+1 {{cannot run on vectors in an epilogue}}
      %i = linalg.index 0 : index
      linalg.yield %p : f32
    } -> tensor<4x4xf32>
    kernel.yield %1 : tensor<4x4xf32>
  }
  return
}

// -----

#identity = affine_map<(i, j) -> (i, j)>
func.func @size_in_the_epilogue(%x: tensor<4x4xi32>) {
  %0 = kernel.region "r" inputs(%x : tensor<4x4xi32>) indices() sizes() -> tensor<4x4xi32> {
  ^bb0(%a: tensor<4x4xi32>):
    %0 = kernel.contract %a, %a : tensor<4x4xi32>, tensor<4x4xi32> -> tensor<4x4xi32>
    %e = tensor.empty() : tensor<4x4xi32>
    %c0 = arith.constant 0 : index
    %size = tensor.dim %a, %c0 : tensor<4x4xi32>
    %1 = linalg.generic {indexing_maps = [#identity, #identity], iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<4x4xi32>) outs(%e : tensor<4x4xi32>) {
    ^bb0(%p: i32, %q: i32):
      // expected-error@+1 {{reads a value outside of its epilogue}}
      %n = arith.index_cast %size : index to i32
      linalg.yield %n : i32
    } -> tensor<4x4xi32>
    kernel.yield %1 : tensor<4x4xi32>
  }
  return
}

// -----

#layout = array<i64: 0, 1, 2, 3>
func.func @softmax_beside_attention(%x: tensor<1x2x4x8xf32>) {
  %0 = kernel.region "r" inputs(%x : tensor<1x2x4x8xf32>) indices() sizes() -> tensor<1x2x4x8xf32> {
  ^bb0(%a: tensor<1x2x4x8xf32>):
    %0 = kernel.attention %a, %a, %a scale 1.0 {query_layout = #layout, key_layout = #layout, value_layout = #layout, output_layout = #layout} : (tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>) -> tensor<1x2x4x8xf32>
    // expected-error@+1 {{cannot stand beside a kernel.attention}}
    %1 = kernel.softmax %0 : tensor<1x2x4x8xf32> -> tensor<1x2x4x8xf32>
    kernel.yield %1 : tensor<1x2x4x8xf32>
  }
  return
}

// -----

#layout = array<i64: 0, 1, 2, 3>
func.func @attention_yields_an_input(%x: tensor<1x2x4x8xf32>) {
  // expected-error@+1 {{has 1 results, but attention yields one}}
  %0 = kernel.region "r" inputs(%x : tensor<1x2x4x8xf32>) indices() sizes() -> tensor<1x2x4x8xf32> {
  ^bb0(%a: tensor<1x2x4x8xf32>):
    %0 = kernel.attention %a, %a, %a scale 1.0 {query_layout = #layout, key_layout = #layout, value_layout = #layout, output_layout = #layout} : (tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>) -> tensor<1x2x4x8xf32>
    kernel.yield %a : tensor<1x2x4x8xf32>
  }
  return
}

// -----

#layout = array<i64: 0, 1, 2, 3>
func.func @attention_of_no_input(%x: tensor<1x2x4x8xf32>) {
  %0 = kernel.region "r" inputs(%x : tensor<1x2x4x8xf32>) indices() sizes() -> tensor<1x2x4x8xf32> {
  ^bb0(%a: tensor<1x2x4x8xf32>):
    %e = tensor.empty() : tensor<1x2x4x8xf32>
    // expected-error@+1 {{needs inputs of its region of f32, f16 or bf16, or caches of i8, but found 'tensor<1x2x4x8xf32>'}}
    %0 = kernel.attention %a, %e, %e scale 1.0 {query_layout = #layout, key_layout = #layout, value_layout = #layout, output_layout = #layout} : (tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>) -> tensor<1x2x4x8xf32>
    kernel.yield %0 : tensor<1x2x4x8xf32>
  }
  return
}

// -----

// Every second row is no part that lies together.
#layout = array<i64: 0, 1, 2, 3>
func.func @attention_of_steps(%x: tensor<1x2x8x8xf32>) {
  %0 = kernel.region "r" inputs(%x : tensor<1x2x8x8xf32>) indices() sizes() -> tensor<1x2x4x8xf32> {
  ^bb0(%a: tensor<1x2x8x8xf32>):
    %e = tensor.extract_slice %a[0, 0, 0, 0] [1, 2, 4, 8] [1, 1, 2, 1] : tensor<1x2x8x8xf32> to tensor<1x2x4x8xf32>
    // expected-error@+1 {{needs inputs of its region of f32, f16 or bf16, or caches of i8, but found 'tensor<1x2x4x8xf32>'}}
    %0 = kernel.attention %e, %e, %e scale 1.0 {query_layout = #layout, key_layout = #layout, value_layout = #layout, output_layout = #layout} : (tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>) -> tensor<1x2x4x8xf32>
    kernel.yield %0 : tensor<1x2x4x8xf32>
  }
  return
}

// -----

#layout = array<i64: 0, 1, 2, 3>
func.func @parameters_of_no_input(%x: tensor<1x2x4x8xi8>) {
  %0 = kernel.region "r" inputs(%x : tensor<1x2x4x8xi8>) indices() sizes() -> tensor<1x2x4x8xf32> {
  ^bb0(%a: tensor<1x2x4x8xi8>):
    %p = arith.constant dense<1.0> : tensor<5xf32>
    // expected-error@+1 {{needs what says how it is quantized from its region's inputs}}
    %0 = kernel.attention %a, %a, %a quantized %p scale 1.0 {query_layout = #layout, key_layout = #layout, value_layout = #layout, output_layout = #layout} : (tensor<1x2x4x8xi8>, tensor<1x2x4x8xi8>, tensor<1x2x4x8xi8>, tensor<5xf32>) -> tensor<1x2x4x8xf32>
    kernel.yield %0 : tensor<1x2x4x8xf32>
  }
  return
}

// -----

#layout = array<i64: 0, 1, 2, 3>
func.func @mask_of_integers(%x: tensor<1x2x4x8xf32>, %y: tensor<4x4xi64>) {
  %0 = kernel.region "r" inputs(%x, %y : tensor<1x2x4x8xf32>, tensor<4x4xi64>) indices() sizes() -> tensor<1x2x4x8xf32> {
  ^bb0(%a: tensor<1x2x4x8xf32>, %b: tensor<4x4xi64>):
    // expected-error@+1 {{needs a mask of f32, f16, bf16 or i1, of rank at most 4, from its region's inputs, but found 'tensor<4x4xi64>'}}
    %0 = kernel.attention %a, %a, %a mask %b scale 1.0 {query_layout = #layout, key_layout = #layout, value_layout = #layout, output_layout = #layout} : (tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>, tensor<4x4xi64>) -> tensor<1x2x4x8xf32>
    kernel.yield %0 : tensor<1x2x4x8xf32>
  }
  return
}

// -----

#layout = array<i64: 0, 1, 2, 3>
func.func @large_heads(%x: tensor<1x2x4x513xf32>) {
  %0 = kernel.region "r" inputs(%x : tensor<1x2x4x513xf32>) indices() sizes() -> tensor<1x2x4x513xf32> {
  ^bb0(%a: tensor<1x2x4x513xf32>):
    // expected-error@+1 {{needs a static head size of at most 512, but found 'tensor<1x2x4x513xf32>'}}
    %0 = kernel.attention %a, %a, %a scale 1.0 {query_layout = #layout, key_layout = #layout, value_layout = #layout, output_layout = #layout} : (tensor<1x2x4x513xf32>, tensor<1x2x4x513xf32>, tensor<1x2x4x513xf32>) -> tensor<1x2x4x513xf32>
    kernel.yield %0 : tensor<1x2x4x513xf32>
  }
  return
}
