import Compute
import Tensors
import Training
import VisionTransformers

/// Steps of LoRA training, on inputs that are already patches.
struct TrainingBenchmark {
    private let trainer: AdapterTrainer
    private let precision: OperandType
    private let batch: Int
    private let inputs: [Float]
    private let classes: [Int]

    /// LoRA of rank 16 on the queries and values of every block, with a head of 100 classes.
    init(_ configuration: BackboneConfiguration, batch: Int, precision: OperandType, threads: Int) throws {
        let modules = (0..<configuration.layers).flatMap {
            ["layers.\($0).attention.q_proj", "layers.\($0).attention.v_proj"]
        }
        trainer = try AdapterTrainer(
            RandomBackbone(configuration), configuration: configuration, imageSize: configuration.imageSize,
            classes: 100, adaptation: LowRankAdaptation(modules: modules, rank: 16, alpha: 16),
            precision: precision, seed: 1, threads: threads)
        (self.batch, self.precision) = (batch, precision)
        var noise = RandomBackbone.Noise(state: 7)
        inputs = (0..<batch * trainer.inputCount).map { _ in noise.next() }
        classes = (0..<batch).map { $0 % 100 }
    }

    func measure(turns: Int, threads: Int) throws -> Measurement {
        try Measurement(
            turns: turns, threads: threads, precision: precision == .f32 ? .f32 : .bf16,
            operations: trainer.operationsPerImage
        ) {
            _ = try inputs.withUnsafeBufferPointer { inputs in
                guard let base = inputs.baseAddress else { return }
                _ = try trainer.step(TrainingBatch(inputs: base, classes: classes), learningRate: 1e-4)
            }
            return batch
        }
    }
}
