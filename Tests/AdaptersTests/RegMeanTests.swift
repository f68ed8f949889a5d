import Compute
import Testing
import VisionTransformers

@testable import Adapters

@Suite struct RegMeanTests {
    let name = "layers.0.attention.q_proj.weight"
    let module = "layers.0.attention.q_proj"

    func matrix(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
        var state = seed
        let values = (0..<rows * columns).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Double(Int32(truncatingIfNeeded: state >> 32)) / 2_147_483_648
        }
        return Matrix(rows: rows, columns: columns, values: values)
    }

    func task(_ task: String, _ delta: Matrix, inputs: Matrix?) -> TaskVector {
        let moments = inputs.map { (1 / Double($0.rows)) * Matrix.product($0, transposed: true, $0) }
        return TaskVector(
            task: task, weight: 1, deltas: [name: WeightDelta(shape: [delta.rows, delta.columns], .dense(delta))],
            inputMoments: moments.map { [module: $0] } ?? [:])
    }

    func merge(_ tasks: [TaskVector], damping: Double) throws -> Matrix {
        let method = try ConfiguredMethod(.regMean, ["damping": .number(damping)])
        return try #require(method.merged(tasks)[name]?.dense)
    }

    func distance(_ a: Matrix, _ b: Matrix) -> Double { (a - b).norm / b.norm }

    @Test func oneTaskIsThatTask() throws {
        let delta = matrix(5, 7, seed: 1)
        let merged = try merge([task("a", delta, inputs: matrix(40, 7, seed: 2))], damping: 1)
        #expect(distance(merged, delta) < 1e-6)
    }

    @Test func likeInputsGiveTheAverage() throws {
        let (a, b, inputs) = (matrix(5, 7, seed: 1), matrix(5, 7, seed: 2), matrix(40, 7, seed: 3))
        let merged = try merge([task("a", a, inputs: inputs), task("b", b, inputs: inputs)], damping: 0.5)
        #expect(distance(merged, 0.5 * (a + b)) < 1e-6)
        let unknown = try merge([task("a", a, inputs: nil), task("b", b, inputs: nil)], damping: 0.5)
        #expect(distance(unknown, 0.5 * (a + b)) < 1e-12)
    }

    /// No other weight has outputs nearer to both tasks' on their inputs.
    @Test func itIsTheLeastSquaresSolution() throws {
        let deltas = [matrix(5, 7, seed: 1), matrix(5, 7, seed: 2)]
        let inputs = [matrix(60, 7, seed: 3), 3 * matrix(60, 7, seed: 4)]
        let merged = try merge(
            [task("a", deltas[0], inputs: inputs[0]), task("b", deltas[1], inputs: inputs[1])], damping: 1)
        func error(_ weight: Matrix) -> Double {
            zip(deltas, inputs).reduce(0) { sum, pair in
                let miss = Matrix.product(pair.1, transposed: false, weight - pair.0, transposed: true).norm
                return sum + miss * miss
            }
        }
        let least = error(merged)
        for seed in 10..<20 {
            #expect(error(merged + 0.01 * matrix(5, 7, seed: UInt64(seed))) > least)
        }
    }

    /// What the observed inputs give is Σ xᵀx / n of what the layers read.
    @Test func observedInputsAreThoseOfTheLayers() throws {
        let base = try Checkpoint(folder: casePath("base"))
        let adapter = WeightedAdapter(try Adapter(task: "a", path: casePath("a"), base: base))
        let images = CalibrationImages(task: "a", count: 20) { index, patches in
            for position in patches.indices { patches[position] = Float((position * 31 + index * 17) % 101) / 50 - 1 }
        }
        let tuner = try MergeTuner(
            base: base, adapters: [adapter], images: [images], imageSize: base.configuration.imageSize,
            passes: PassSettings(threads: 2))
        let moments = try tuner.inputMoments(of: "a", modules: Set(adapter.adapter.modules))
        #expect(Set(adapter.adapter.modules).isSubset(of: moments.keys))
        let gram = try #require(moments["layers.1.mlp.fc1"])
        #expect(gram.rows == 48)
        for row in 0..<48 {
            #expect(gram[row, row] >= 0)
            for column in 0..<48 { #expect(abs(gram[row, column] - gram[column, row]) < 1e-4) }
        }
        // The rows come from a layer normalization: their mean square is that of scale and shift, here 1 and 0.
        let trace = (0..<48).reduce(0) { $0 + gram[$1, $1] }
        #expect(abs(trace / 48 - 1) < 0.02)
    }

    /// Every sum is added to in the order of the images, whichever thread computed them.
    @Test func momentsHaveTheSameBitsOnAnyNumberOfThreads() throws {
        let base = try Checkpoint(folder: casePath("base"))
        let adapter = WeightedAdapter(try Adapter(task: "a", path: casePath("a"), base: base))
        let images = CalibrationImages(task: "a", count: 67) { index, patches in
            for position in patches.indices { patches[position] = Float((position * 37 + index * 23) % 103) / 51 - 1 }
        }
        let moments = try [1, 2, 3].map { threads in
            try MergeTuner(
                base: base, adapters: [adapter], images: [images], imageSize: base.configuration.imageSize,
                passes: PassSettings(threads: threads)
            ).inputMoments(of: "a", modules: Set(adapter.adapter.modules))
        }
        #expect(!moments[0].isEmpty)
        #expect(moments[1].mapValues(\.values) == moments[0].mapValues(\.values))
        #expect(moments[2].mapValues(\.values) == moments[0].mapValues(\.values))
    }
}
