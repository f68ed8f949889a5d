import Compute
import Foundation
import Tensors
import TestSupport
import Testing

/// The largest difference, relative to the largest magnitude.
func distance(_ a: [Float], _ b: [Float]) -> Float {
    let scale = max(b.map(abs).max() ?? 0, 1e-6)
    return zip(a, b).map { abs($0 - $1) }.max().map { $0 / scale } ?? .infinity
}

@Suite struct KernelTests {
    let engine: KernelEngine
    init() throws { engine = try KernelEngine() }

    static let activations: [Activation?] = [nil, .gelu, .geluTanh, .swish(alpha: 1), .swish(alpha: 1.702), .relu]

    @Test(arguments: activations, [(1, 7, 5), (17, 48, 96), (65, 192, 64), (3, 1, 1)])
    func linearMatchesReference(_ activation: Activation?, _ shape: (Int, Int, Int)) throws {
        let (rows, inputs, outputs) = shape
        var noise = Noise(state: 1)
        let (source, weight, bias) = (
            noise.values(rows * inputs), noise.values(outputs * inputs), noise.values(outputs)
        )
        let kernel = try Kernel.linear(engine, rows: rows, inputs: inputs, outputs: outputs, activation: activation)
        let packed = try kernel.pack(weight)
        let (from, added, to) = (FloatBuffer(source), FloatBuffer(bias), FloatBuffer(count: rows * outputs))
        let scratch = FloatBuffer(count: kernel.scratchCount)
        let call = try KernelCall(
            kernel, source: Operand(from), weights: Operand(packed), bias: added, destination: Operand(to),
            scratch: scratch)
        try call.run()
        let expected = Reference.linear(
            source, weight: weight, bias: bias, rows: rows, inputs: inputs, outputs: outputs, activation: activation)
        #expect(distance(Array(to.elements), expected) < 2e-6)
    }

    @Test func linearMultipliesThenAccumulates() throws {
        let (rows, inputs, outputs) = (9, 24, 40)
        var noise = Noise(state: 2)
        let (source, weight) = (noise.values(rows * inputs), noise.values(outputs * inputs))
        let (factor, before) = (noise.values(rows * outputs), noise.values(rows * outputs))
        let kernel = try Kernel.linear(
            engine, rows: rows, inputs: inputs, outputs: outputs, hasBias: false, activation: .swish(alpha: 1),
            multiplies: true, accumulates: true)
        let packed = try kernel.pack(weight)
        let (from, times, to) = (FloatBuffer(source), FloatBuffer(factor), FloatBuffer(before))
        let call = try KernelCall(
            kernel, source: Operand(from), weights: Operand(packed), multiplier: Operand(times),
            destination: Operand(to),
            scratch: FloatBuffer(count: kernel.scratchCount))
        try call.run()
        let product = Reference.linear(
            source, weight: weight, bias: nil, rows: rows, inputs: inputs, outputs: outputs,
            activation: .swish(alpha: 1))
        let expected = product.indices.map { product[$0] * factor[$0] + before[$0] }
        #expect(distance(Array(to.elements), expected) < 2e-6)
    }

    @Test(arguments: [false, true])
    func productOfPartsOfLargerMatrices(transposed: Bool) throws {
        let (m, k, n, stride) = (7, 12, 7, 50)
        var noise = Noise(state: 3)
        let whole = FloatBuffer(noise.values(60 * stride))
        let kernel = try Kernel.product(
            engine, m: m, k: k, n: n, sourceStride: stride, otherStride: stride, transposed: transposed,
            outputStride: n)
        let to = FloatBuffer(count: m * n)
        let call = try KernelCall(
            kernel, source: Operand(whole, offset: 5), weights: Operand(whole, offset: 20), destination: Operand(to),
            scratch: FloatBuffer(count: kernel.scratchCount))
        try call.run()
        let source = (0..<m * k).map { whole.base[5 + $0 / k * stride + $0 % k] }
        let other = (0..<n * k).map { index in
            let (output, input) = (index / k, index % k)
            return whole.base[20 + (transposed ? output * stride + input : input * stride + output)]
        }
        let expected = Reference.linear(source, weight: other, bias: nil, rows: m, inputs: k, outputs: n)
        #expect(distance(Array(to.elements), expected) < 2e-6)
    }

    @Test(arguments: [(1, 8), (5, 48), (17, 192), (3, 768)])
    func layerNormMatchesReference(rows: Int, columns: Int) throws {
        var noise = Noise(state: 5)
        let source = noise.values(rows * columns).map { $0 * 3 + 1 }
        let (scale, shift) = (noise.values(columns), noise.values(columns))
        let kernel = try Kernel.layerNorm(engine, rows: rows, columns: columns, epsilon: 1e-6)
        let (from, to) = (FloatBuffer(source), FloatBuffer(count: rows * columns))
        let (weights, bias) = (FloatBuffer(scale), FloatBuffer(shift))
        try KernelCall(
            kernel, source: Operand(from), weights: Operand(weights), bias: bias, destination: Operand(to),
            scratch: FloatBuffer(count: kernel.scratchCount)
        ).run()
        let expected = (0..<rows).flatMap {
            Reference.layerNorm(
                Array(source[$0 * columns..<($0 + 1) * columns]), scale: scale, shift: shift, epsilon: 1e-6)
        }
        #expect(distance(Array(to.elements), expected) < 5e-6)
    }
}

@Suite struct WorkerPoolTests {
    @Test(arguments: [1, 2, 5])
    func everyItemIsDoneOnce(workers: Int) throws {
        let pool = try WorkerPool(workers: workers)
        for count in [0, 1, 3, 100] {
            let done = FloatBuffer([Float](repeating: 0, count: count))
            pool.forEach(count) { worker, item in
                if worker < workers { done.base[item] += 1 }
            }
            #expect(done.elements.allSatisfy { $0 == 1 })
        }
    }

    @Test func threadsEndWithTheirPool() throws {
        func threads() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count }
        let before = try threads()
        for _ in 0..<40 {
            let pool = try WorkerPool(workers: 4)
            pool.forEach(9) { _, _ in }
        }
        // Other tests have threads of their own; these would be 120.
        #expect(try threads() < before + 60)
    }
}
