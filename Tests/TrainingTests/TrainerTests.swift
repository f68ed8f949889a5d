import Compute
import Tensors
import Testing
import VisionTransformers

@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Training

/// One step of a trainer.
func step(
    _ trainer: some TrainableClassifier, _ inputs: [Float], _ classes: [Int], weights: [Float]? = nil,
    learningRate: Double = 0.01
) throws -> StepOutcome {
    try inputs.withUnsafeBufferPointer {
        try trainer.step(
            TrainingBatch(inputs: try #require($0.baseAddress), classes: classes, weights: weights),
            learningRate: learningRate)
    }
}

@Suite struct TrainerTests {
    let base: Checkpoint
    let run: ReferenceRun

    init() throws {
        run = try ReferenceRun("lora")
        base = run.base
    }

    func trainer(
        dropout: Double = 0, labelSmoothing: Double = 0, precision: OperandType = .f32, seed: UInt64 = 3,
        threads: Int = 1, initial: [String: Tensor] = [:]
    ) throws -> AdapterTrainer {
        try AdapterTrainer(
            base, configuration: base.configuration, imageSize: base.configuration.imageSize, classes: 5,
            adaptation: LowRankAdaptation(
                modules: ["layers.0.attention.q_proj", "layers.1.attention.v_proj", "layers.1.mlp.fc1"], rank: 2,
                alpha: 4, isRankStabilized: true, dropout: dropout),
            labelSmoothing: labelSmoothing, precision: precision, seed: seed, initial: initial, threads: threads)
    }

    /// Takes the reference's steps from `first` on.
    func train(_ trainer: some TrainableClassifier, _ steps: Range<Int>) throws -> [StepOutcome] {
        let count = 8 * trainer.inputCount
        return try steps.map {
            try step(trainer, Array(run.inputs[$0 * count..<($0 + 1) * count]), run.classes[$0])
        }
    }

    func sameState(_ a: some TrainableClassifier, _ b: some TrainableClassifier) -> Bool {
        a.state.map(\.name) == b.state.map(\.name) && a.state.map(\.tensor) == b.state.map(\.tensor)
    }

    @Test func sameBitsOnAnyNumberOfThreads() throws {
        let trainers = try (1...3).map { try trainer(dropout: 0.1, threads: $0) }
        let outcomes = try trainers.map { try train($0, 0..<3) }
        #expect(outcomes.allSatisfy { $0 == outcomes[0] })
        #expect(trainers.allSatisfy { sameState($0, trainers[0]) })
    }

    @Test func goesOnFromAStateAsIfItHadNotStopped() throws {
        let whole = try trainer(dropout: 0.1)
        _ = try train(whole, 0..<2)
        let resumed = try trainer(dropout: 0.1, threads: 2)
        try resumed.restore(whole.state)
        #expect(sameState(whole, resumed))
        #expect(try train(whole, 2..<5) == train(resumed, 2..<5))
        #expect(sameState(whole, resumed))
    }

    @Test(.enabled(if: OperandType.bf16.isSupported, "the processor has no instructions for bf16"))
    func inBFloat16TooItGoesOnFromAState() throws {
        let whole = try trainer(dropout: 0.1, precision: .bf16)
        _ = try train(whole, 0..<2)
        let resumed = try trainer(dropout: 0.1, precision: .bf16, threads: 3)
        try resumed.restore(whole.state)
        #expect(try train(whole, 2..<5) == train(resumed, 2..<5))
        #expect(sameState(whole, resumed))
    }

    @Test func trainingLowersTheLoss() throws {
        let trainer = try trainer(labelSmoothing: 0.1)
        let first = try train(trainer, 0..<1)[0]
        for _ in 0..<30 { _ = try train(trainer, 0..<1) }
        let last = try train(trainer, 0..<1)[0]
        #expect(last.loss < first.loss / 2)
        #expect(last.correct == 8)
        var logits = [Float](repeating: 0, count: 8 * 5)
        try trainer.predict(run.inputs, images: 8, logits: &logits)
        let answers = (0..<8).map { image in (0..<5).max { logits[image * 5 + $0] < logits[image * 5 + $1] } }
        #expect(answers == run.classes[0])
    }

    @Test func beginsAsTheBaseWithAHead() throws {
        let (one, other) = (try trainer(seed: 1), try trainer(seed: 2))
        for (name, tensor) in one.parameters {
            let different = other.parameters.first { $0.name == name }?.tensor
            if name.hasSuffix("lora_B.weight") || name == "classifier.bias" {
                #expect(tensor.values.allSatisfy { $0 == 0 })
            } else {
                #expect(different != tensor)
            }
            if name.hasSuffix("lora_A.weight") {
                let bound = 1 / Float(tensor.shape[1]).squareRoot()
                #expect(tensor.values.allSatisfy { abs($0) <= bound } && tensor.values.contains { $0 > bound / 2 })
            }
        }
    }

    @Test func aWeightOfTwoIsTheImageTwice() throws {
        let count = try trainer().inputCount
        let images = (0..<2).map { Array(run.inputs[$0 * count..<($0 + 1) * count]) }
        let (weighted, repeated) = (try trainer(), try trainer())
        let a = try step(weighted, images[0] + images[1], [1, 3], weights: [2, 1])
        let b = try step(repeated, images[0] + images[0] + images[1], [1, 1, 3])
        #expect(abs(a.loss - b.loss) < 1e-6)
        for (one, other) in zip(weighted.lastGradients, repeated.lastGradients) {
            #expect(zip(one.tensor.values, other.tensor.values).allSatisfy { abs($0 - $1) < 1e-6 })
        }
    }

    @Test func refusesStatesOfAnotherTraining() throws {
        let trainer = try trainer()
        let before = trainer.state
        func refusal(_ change: (inout [(name: String, tensor: Tensor)]) -> Void) -> String {
            var state = before
            change(&state)
            do { try trainer.restore(state) } catch { return "\(error)" }
            return "nothing was thrown"
        }
        #expect(refusal { $0.removeLast() }.contains("steps is missing"))
        #expect(refusal { $0.removeFirst() }.contains("lora_A.weight is missing"))
        #expect(refusal { $0.append(("more", Tensor(shape: [1]))) }.contains("more has no place"))
        #expect(refusal { $0.append($0[0]) }.contains("twice"))
        #expect(refusal { $0[0].tensor = Tensor(shape: [3]) }.contains("expected shape [2, 48], found [3]"))
        #expect(refusal { $0[$0.count - 1].tensor.values[0] = 0.5 }.contains("whole numbers"))
        #expect(trainer.state.map(\.tensor) == before.map(\.tensor))
    }

    @Test func refusesBatchesThatDoNotFit() throws {
        let trainer = try trainer()
        func refusal(_ classes: [Int], _ weights: [Float]? = nil) -> String {
            do {
                _ = try step(trainer, run.inputs, classes, weights: weights)
            } catch { return "\(error)" }
            return "nothing was thrown"
        }
        #expect(refusal([]).contains("at least one image"))
        #expect(refusal([0, 5]).contains("expected classes 0 to 4, found 5"))
        #expect(refusal([0, 1], [1]).contains("expected 2 weights, found 1"))
        #expect(refusal([0, 1], [0, 0]).contains("not all 0"))
        #expect(refusal([0, 1], [.nan, 1]).contains("at least 0"))
        let spoiled = try self.trainer(initial: ["classifier.bias": Tensor(shape: [5], repeating: .infinity)])
        #expect(throws: ModelError.self) { try step(spoiled, run.inputs, [0]) }
        #expect(throws: ModelError.self) { try self.trainer(labelSmoothing: 1.5) }
        #expect(throws: ModelError.self) { try self.trainer(initial: ["other": Tensor(shape: [1])]) }
        #expect(throws: ModelError.self) { try HeadTrainer(features: 0, classes: 2, seed: 1) }
    }
}

@Suite struct CrossEntropyTests {
    @Test(arguments: [0, 0.1, 1])
    func gradientAgreesWithDifferences(smoothing: Double) throws {
        let loss = try CrossEntropy(labelSmoothing: smoothing)
        let logits: [Float] = [0.5, -1.25, 2, 0.25]
        var gradient = [Float](repeating: 0, count: 4)
        var unused = gradient
        _ = loss.evaluate(logits, classes: 4, target: 1, weight: 0.5, gradient: &gradient)
        for index in 0..<4 {
            var (above, below) = (logits, logits)
            above[index] += 0x1p-8
            below[index] -= 0x1p-8
            let difference =
                loss.evaluate(above, classes: 4, target: 1, weight: 1, gradient: &unused)
                - loss.evaluate(below, classes: 4, target: 1, weight: 1, gradient: &unused)
            #expect(abs(Double(gradient[index]) - 0.5 * difference / 0x1p-7) < 1e-5)
        }
    }

    @Test func smoothedLossIsTheTargetsCrossEntropy() throws {
        let logits: [Float] = [1, 2, 3]
        var gradient = [Float](repeating: 0, count: 3)
        let loss = try CrossEntropy(labelSmoothing: 0.3)
            .evaluate(logits, classes: 3, target: 1, weight: 1, gradient: &gradient)
        // -log softmax = 2.407606, 1.407606, 0.407606; targets 0.1, 0.8, 0.1.
        #expect(abs(loss - (0.2407606 + 1.1260848 + 0.0407606)) < 1e-5)
    }
}
