import Compute
import Tensors
import TestSupport
import Testing

@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Training

/// The loop over epochs, with softmax regression in the place of a backbone.
@Suite struct TrainingRunTests {
    static let training = Points(classes: (0..<90).map { $0 * 7 % 4 }, seed: 1)
    static let validation = Points(classes: (0..<40).map { $0 % 4 }, seed: 2, moves: false)

    static func settings(_ change: (inout RunSettings) -> Void = { _ in }) -> RunSettings {
        var settings = RunSettings()
        (settings.epochs, settings.batchSize, settings.learningRate) = (6, 16, 0.5)
        change(&settings)
        return settings
    }

    static func run(
        _ settings: RunSettings = settings(), training: Points = training, validation: Points? = validation,
        threads: Int = 1
    ) throws -> TrainingRun {
        TrainingRun(
            SoftmaxRegression(inputs: 3, classes: 4), training: training, validation: validation, settings: settings,
            pool: try WorkerPool(workers: threads))
    }

    /// Everything that a finished run leaves.
    struct Result: Equatable {
        let records: [EpochRecord]
        let best: EpochRecord?
        let parameters: [Tensor]
        let last: [Tensor]

        init(_ run: TrainingRun) {
            (records, best) = (run.records, run.keptRecord)
            parameters = run.keptParameters.map(\.tensor)
            last = run.snapshot.classifier.map(\.tensor)
        }
    }

    static func finished(_ run: TrainingRun) throws -> Result {
        while !run.isFinished { _ = try run.advance() }
        return Result(run)
    }

    @Test func itLearns() throws {
        let result = try Self.finished(Self.run(Self.settings { $0.epochs = 20 }))
        #expect(result.records.map(\.steps) == (1...20).map { $0 * 6 })
        #expect(result.records[19].accuracy > 0.9 && result.records[19].loss < result.records[0].loss)
        #expect(try #require(result.best?.validationAccuracy) > 0.9)
    }

    @Test func threadsChangeNothing() throws {
        #expect(try Self.finished(Self.run()) == Self.finished(Self.run(threads: 3)))
    }

    @Test func theSeedChangesTheResult() throws {
        #expect(try Self.finished(Self.run()) != Self.finished(Self.run(Self.settings { $0.seed = 1 })))
    }

    @Test func aRunGoesOnFromEveryMomentToTheSameBits() throws {
        for settings in [Self.settings(), Self.settings { $0.maximumSteps = 15 }, Self.settings { $0.patience = 1 }] {
            let whole = try Self.finished(Self.run(settings))
            let run = try Self.run(settings)
            var moments = 0
            while true {
                let other = try Self.run(settings, threads: 2)
                try other.restore(run.snapshot)
                #expect(try Self.finished(other) == whole)
                moments += 1
                if run.isFinished { break }
                _ = try run.advance()
            }
            #expect(moments == whole.records.count + (whole.records.last?.steps ?? 0) + 1)
        }
    }

    @Test func theBestEpochIsKept() throws {
        // A rate at which the last epochs get worse again.
        let run = try Self.run(Self.settings { ($0.learningRate, $0.schedule, $0.epochs) = (30, .constant, 12) })
        var parameters: [Int: [Tensor]] = [:]
        while !run.isFinished {
            if case .epoch(let record, _) = try run.advance() {
                parameters[record.epoch] = Array(run.snapshot.classifier.map(\.tensor).prefix(2))
            }
        }
        let best = try #require(
            run.records.max {
                (($0.validationAccuracy ?? 0), -($0.validationLoss ?? 0), -$0.epoch)
                    < (($1.validationAccuracy ?? 0), -($1.validationLoss ?? 0), -$1.epoch)
            })
        #expect(run.bestRecord == best && best.epoch < 12)
        #expect(run.keptParameters.map(\.tensor) == parameters[best.epoch])
    }

    @Test func theLastEpochIsKeptWhereThatIsAskedFor() throws {
        let run = try Self.run(
            Self.settings { ($0.learningRate, $0.schedule, $0.epochs, $0.keeps) = (30, .constant, 12, .last) })
        while !run.isFinished { _ = try run.advance() }
        #expect(run.keptRecord == run.records.last && run.keptRecord?.epoch == 12)
        #expect(run.keptParameters.map(\.tensor) == Array(run.snapshot.classifier.map(\.tensor).prefix(2)))
        #expect(try #require(run.bestRecord?.epoch) < 12)
    }

    @Test func withoutValidationTheLastEpochIsKept() throws {
        let result = try Self.finished(Self.run(validation: nil))
        #expect(result.best == result.records.last && result.best?.validationLoss == nil)
        #expect(result.parameters == Array(result.last.prefix(2)))
    }

    @Test func aRunEndsEarlyWhenNothingImproves() throws {
        let run = try Self.run(Self.settings { ($0.learningRate, $0.patience, $0.epochs) = (0, 2, 50) })
        _ = try Self.finished(run)
        // Epoch 1 is the best; 2 and 3 are the same as it.
        #expect(run.records.count == 3 && run.bestRecord?.epoch == 1)
    }

    @Test func stepsCanBeLimited() throws {
        let result = try Self.finished(Self.run(Self.settings { $0.maximumSteps = 8 }))
        #expect(result.records.map(\.steps) == [6, 8])
        #expect(try Self.finished(Self.run(Self.settings { $0.maximumSteps = 6 })).records.map(\.steps) == [6])
    }

    @Test func balancingMakesRareClassesCount() throws {
        // One class has 3 of 90 images; its own half of the space is not learnt unless it counts.
        let rare = Points(classes: (0..<90).map { $0 % 30 == 0 ? 3 : 0 }, seed: 3)
        let check = Points(classes: [Int](repeating: 3, count: 50), seed: 4, moves: false)
        let plain = Self.settings { ($0.epochs, $0.learningRate) = (2, 0.2) }
        var balanced = plain
        balanced.balances = true
        let without = try Self.finished(Self.run(plain, training: rare, validation: check))
        let with = try Self.finished(Self.run(balanced, training: rare, validation: check))
        #expect(try #require(with.best?.validationAccuracy) > (without.best?.validationAccuracy ?? 1))
    }
}

@Suite struct ScheduleTests {
    @Test func theRateRisesAndThenFollowsACosine() {
        let schedule = LearningRateSchedule(.cosine, peak: 0.4, warmup: 0.2, steps: 20)
        #expect((0..<4).map(schedule.rate) == [0.1, 0.2, 0.4 * 3 / 4, 0.4])
        #expect(schedule.rate(4) == 0.4)
        #expect(abs(schedule.rate(12) - 0.2) < 1e-15)
        #expect((4..<19).allSatisfy { schedule.rate($0) > schedule.rate($0 + 1) })
        #expect(schedule.rate(19) > 0 && schedule.rate(20) < 1e-15)
    }

    @Test func aConstantStaysAtItsPeak() {
        let schedule = LearningRateSchedule(.constant, peak: 3, warmup: 0, steps: 5)
        #expect((0..<5).map(schedule.rate) == [3, 3, 3, 3, 3])
    }

    @Test func aRunOfOneStepHasItsPeak() {
        #expect(LearningRateSchedule(.cosine, peak: 1, warmup: 0.05, steps: 1).rate(0) == 1)
        #expect(LearningRateSchedule(.cosine, peak: 1, warmup: 1, steps: 1).rate(0) == 1)
    }
}
