import Testing

@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Reports

/// Sixty made-up predictions to six classes. What is expected of them was computed with NumPy from the definitions.
enum MadeUpAnswers {
    static let classes = 6
    static let truths = (0..<60).map { ($0 * $0 + $0 / 7) % classes }

    static func logits(_ image: Int) -> [Float] {
        (0..<classes).map { index in
            let value = Float((image * 7 + index * 13 + (image * index) % 5) % 17) / 4 - Float(index) / 8
            return image % 3 == 0 && index == truths[image] ? value + 3 : value
        }
    }

    static let predictions = truths.enumerated().compactMap { Prediction(truth: $1, logits: logits($0)) }
}

/// The metrics of predictions without intervals of means.
func measure(_ predictions: [Prediction], classes: Int) throws -> TaskMetrics {
    try #require(
        TaskMetrics(task: "t", classes: classes, predictions: predictions, bootstrap: BootstrapOptions(resamples: 0)))
}

/// A prediction of which only the class is known.
func prediction(_ truth: Int, _ predicted: Int, _ confidence: Double? = nil) -> Prediction {
    Prediction(
        truth: truth, predicted: predicted, rank: truth == predicted ? 1 : nil, confidence: confidence, logLoss: nil)
}

@Suite struct MetricsTests {
    @Test func madeUpAnswersHaveTheMetricsOfNumPy() throws {
        let metrics = try measure(MadeUpAnswers.predictions, classes: MadeUpAnswers.classes)
        #expect(metrics.images == 60)
        #expect(metrics.top1.value == 28.0 / 60)
        #expect(metrics.top5?.value == 52.0 / 60)
        #expect(abs(metrics.macroF1.value - 0.452605700907908) < 1e-12)
        #expect(abs(metrics.balancedAccuracy.value - 0.463714526214526) < 1e-12)
        #expect(abs(try #require(metrics.calibrationError).value - 0.187466352113846) < 1e-12)
        #expect(abs(try #require(metrics.logLoss).value - 1.674807478796680) < 1e-12)
        let expected = [
            [8, 2, 2, 1, 1, 0], [1, 5, 0, 2, 1, 0], [2, 0, 4, 2, 2, 1], [1, 1, 0, 5, 1, 0], [3, 0, 1, 0, 4, 1],
            [2, 2, 1, 2, 0, 2],
        ]
        #expect((0..<6).map { Array(metrics.confusion.row($0)) } == expected)
    }

    @Test func smallTableByHand() throws {
        // Class 0: 3 images, 2 found, 2 given; class 1: 2 images, 2 found, 3 given; class 2: none of either.
        let metrics = try measure(
            [prediction(0, 0), prediction(0, 0), prediction(0, 1), prediction(1, 1), prediction(1, 1)], classes: 3)
        #expect(metrics.top1.value == 0.8)
        #expect(metrics.perClass[0].precision?.value == 1)
        #expect(metrics.perClass[0].recall?.value == 2.0 / 3)
        #expect(metrics.perClass[0].f1 == 0.8)
        #expect(metrics.perClass[1].precision?.value == 2.0 / 3)
        #expect(metrics.perClass[1].f1 == 0.8)
        #expect(
            metrics.perClass[2].precision == nil && metrics.perClass[2].recall == nil && metrics.perClass[2].f1 == nil)
        #expect(abs(metrics.macroF1.value - 0.8) < 1e-15)
        #expect(abs(metrics.balancedAccuracy.value - (2.0 / 3 + 1) / 2) < 1e-15)
        #expect(metrics.calibrationError == nil && metrics.logLoss == nil)
        #expect(metrics.confusion.confusions(limit: 9).map(\.count) == [1])
    }

    @Test func perfectAnswersArePerfect() throws {
        let predictions = (0..<40).compactMap { index in
            Prediction(truth: index % 4, logits: (0..<4).map { $0 == index % 4 ? Float(1000) : 0 })
        }
        let metrics = try #require(TaskMetrics(task: "t", classes: 4, predictions: predictions))
        for estimate in [metrics.top1, metrics.macroF1, metrics.balancedAccuracy] {
            #expect(estimate.value == 1 && estimate.interval?.high == 1)
        }
        #expect(metrics.macroF1.interval?.low == 1)
        #expect(metrics.calibrationError?.value == 0)
        #expect(metrics.logLoss?.value == 0)
    }

    @Test func namesOfClassesDoNotMatter() throws {
        let order = [3, 5, 0, 1, 4, 2]
        let moved = MadeUpAnswers.predictions.map {
            Prediction(
                truth: order[$0.truth], predicted: order[$0.predicted], rank: $0.rank, confidence: $0.confidence,
                logLoss: $0.logLoss)
        }
        let (a, b) = (try measure(MadeUpAnswers.predictions, classes: 6), try measure(moved, classes: 6))
        #expect(a.top1 == b.top1 && a.top5 == b.top5 && a.calibrationError == b.calibrationError)
        #expect(abs(a.macroF1.value - b.macroF1.value) < 1e-15)
        #expect(abs(a.balancedAccuracy.value - b.balancedAccuracy.value) < 1e-15)
        for (truth, row) in order.enumerated() {
            for (predicted, column) in order.enumerated() {
                #expect(a.confusion[truth, predicted] == b.confusion[row, column])
            }
        }
    }

    @Test func ofEqualScoresTheFirstIsTheBetter() throws {
        let prediction = try #require(Prediction(truth: 2, logits: [1, 2, 2, 0] as [Float]))
        #expect(prediction.predicted == 1 && prediction.rank == 2)
        #expect(try #require(Prediction(truth: 1, logits: [1, 2, 2, 0] as [Float])).rank == 1)
    }

    @Test func answersThatAreNoneAreRefused() {
        #expect(Prediction(truth: 0, logits: [] as [Float]) == nil)
        #expect(Prediction(truth: 2, logits: [0, 1] as [Float]) == nil)
        #expect(Prediction(truth: -1, logits: [0, 1] as [Float]) == nil)
        #expect(Prediction(truth: 0, logits: [.nan, 1] as [Float]) == nil)
        #expect(Prediction(truth: 0, logits: [.infinity, 1] as [Float]) == nil)
        #expect(TaskMetrics(task: "t", classes: 3, predictions: []) == nil)
    }

    @Test func largeLogitsDoNotOverflow() throws {
        let prediction = try #require(Prediction(truth: 0, logits: [-3e38, 3e38] as [Float]))
        #expect(prediction.confidence == 1)
        #expect(try #require(prediction.logLoss) > 1e38)
    }

    @Test func calibratedAnswersHaveNoCalibrationError() throws {
        // In each bin as many are right as confidence says: 20 predictions at 0.55 of which 11 are right, and so on.
        var predictions: [Prediction] = []
        for (confidence, right) in [(0.35, 7), (0.55, 11), (0.75, 15), (0.95, 19)] {
            predictions += (0..<20).map { prediction(0, $0 < right ? 0 : 1, confidence) }
        }
        let calibration = ConfidenceCalibration(predictions)
        #expect(try #require(calibration.expectedError) < 1e-12)
        #expect(calibration.bins.reduce(0) { $0 + $1.count } == 80)
        // All sure and half of them right.
        let boastful = ConfidenceCalibration((0..<10).map { prediction(0, $0 % 2, 1) })
        #expect(boastful.expectedError == 0.5 && boastful.maximumError == 0.5)
        #expect(ConfidenceCalibration([Prediction]()).expectedError == nil)
    }

    @Test func binsHoldTheirUpperEnd() {
        for (confidence, bin) in [(0.0, 0), (1.0 / 15, 0), (0.0667, 1), (0.5, 7), (1, 14), (1.5, 14)] {
            let calibration = ConfidenceCalibration([prediction(0, 0, confidence)])
            #expect(calibration.bins.firstIndex { $0.count == 1 } == bin, "\(confidence)")
        }
    }
}

@Suite struct IntervalTests {
    @Test func wilsonIsThatOfNewcombe() throws {
        // Newcombe, Statistics in Medicine 17 (1998), table I; more digits from the formula in Python.
        for (successes, count, low, high) in [
            (81, 263, 0.255288519878, 0.366209576983), (15, 148, 0.062386399531, 0.160487241723),
            (0, 10, 0, 0.277532799863), (10, 10, 0.722467200137, 1), (28, 60, 0.346279060414, 0.591065729728),
        ] {
            let interval = try #require(ConfidenceInterval.wilson(successes, of: count))
            #expect(abs(interval.low - low) < 1e-11 && abs(interval.high - high) < 1e-11)
        }
        #expect(ConfidenceInterval.wilson(0, of: 0) == nil)
    }

    @Test func wilsonStaysWithinItsBounds() throws {
        for count in [1, 2, 7, 100, 100_000] {
            for successes in Set([0, 1, count / 3, count / 2, count - 1, count]) {
                let interval = try #require(ConfidenceInterval.wilson(successes, of: count))
                let share = Double(successes) / Double(count)
                #expect(0 <= interval.low && interval.low <= share && share <= interval.high && interval.high <= 1)
                // What is right is the complement of what is wrong.
                let other = try #require(ConfidenceInterval.wilson(count - successes, of: count))
                #expect(abs(interval.low - (1 - other.high)) < 1e-12)
            }
        }
    }

    @Test func bootstrapDependsOnTheSeedAndTheTaskAlone() throws {
        func interval(_ task: String, _ seed: UInt64) throws -> ConfidenceInterval {
            let metrics = TaskMetrics(
                task: task, classes: 6, predictions: MadeUpAnswers.predictions,
                bootstrap: BootstrapOptions(resamples: 200, seed: seed))
            return try #require(metrics?.macroF1.interval)
        }
        let first = try interval("t", 0)
        #expect(try interval("t", 0) == first)
        #expect(try interval("t", 1) != first)
        #expect(try interval("u", 0) != first)
        #expect(first.low < 0.4526 && 0.4526 < first.high)
    }

    @Test func bootstrapOfAMeanIsNearItsStandardError() throws {
        // 400 predictions, half of them right: the recall of the only class has a standard error of 0.025.
        let predictions = (0..<400).map { prediction(0, $0 % 2) }
        let metrics = try #require(
            TaskMetrics(task: "t", classes: 2, predictions: predictions, bootstrap: BootstrapOptions(resamples: 2000)))
        let interval = try #require(metrics.balancedAccuracy.interval)
        #expect(abs(interval.low - (0.5 - 1.96 * 0.025)) < 0.006)
        #expect(abs(interval.high - (0.5 + 1.96 * 0.025)) < 0.006)
    }

    @Test func percentilesAreInterpolatedAndCentred() throws {
        let values = (0...100).map(Double.init)
        let plain = try #require(ConfidenceInterval.percentile(of: values.reversed(), about: 50, within: -1000...1000))
        #expect(abs(plain.low - 2.5) < 1e-12 && abs(plain.high - 97.5) < 1e-12)
        let moved = try #require(ConfidenceInterval.percentile(of: values, about: 20, within: 0...60))
        #expect(moved.low == 0 && moved.high == 60)
        #expect(ConfidenceInterval.percentile(of: [], about: 0, within: 0...1) == nil)
    }
}

@Suite struct McNemarTests {
    @Test func fewImagesAreExact() {
        // 2·sum of binomials by Python's fractions.
        for (b, c, p) in [
            (0, 0, 1), (5, 12, 0.143463134765625), (8, 1, 0.0390625), (11, 11, 1), (0, 6, 0.03125), (12, 12, 1),
        ] {
            let test = McNemar(onlyFirst: b, onlySecond: c)
            #expect(test.form == .exact && test.statistic == nil)
            #expect(abs(test.pValue - p) < 1e-14, "\(b), \(c)")
        }
    }

    @Test func manyImagesAreChiSquare() throws {
        // (|b - c| - 1)² / (b + c), and math.erfc(sqrt(x / 2)).
        for (b, c, square, p) in [
            (19, 14, 0.484848484848, 0.486234321388297), (60, 21, 17.827160493827, 0.000024190543185), (13, 13, 0, 1),
            (150, 121, 2.892988929889, 0.088965735176437),
        ] {
            let test = McNemar(onlyFirst: b, onlySecond: c)
            #expect(test.form == .chiSquare)
            #expect(abs(try #require(test.statistic) - square) < 1e-11)
            #expect(abs(test.pValue - p) < 1e-12)
        }
    }

    @Test func theOrderOfTheTwoDoesNotMatter() throws {
        for b in 0..<30 {
            for c in 0..<30 {
                let (one, other) = (McNemar(onlyFirst: b, onlySecond: c), McNemar(onlyFirst: c, onlySecond: b))
                #expect(one.pValue == other.pValue && one.form == other.form)
                #expect(0 <= one.pValue && one.pValue <= 1)
                let (gain, loss) = (try #require(one.difference(of: 100)), try #require(other.difference(of: 100)))
                #expect(gain.value == -loss.value)
                let (upper, lower) = (try #require(gain.interval), try #require(loss.interval))
                #expect(abs(upper.low + lower.high) < 1e-15)
            }
        }
        #expect(McNemar(onlyFirst: 0, onlySecond: 0).difference(of: 0) == nil)
    }

    @Test func theDifferenceIsThatOfBonettAndPrice() throws {
        let found = try #require(McNemar(onlyFirst: 12, onlySecond: 5).difference(of: 400))
        #expect(abs(found.value - 0.0175) < 1e-12)
        #expect(abs(try #require(found.interval).low + 0.003770738845) < 1e-11)
        #expect(abs(try #require(found.interval).high - 0.038596609491) < 1e-11)
    }
}
