import Testing

@testable import Evaluation

@Suite struct FitMetricsTests {
    @Test func numbersByHand() throws {
        let fit = try #require(
            FitMetrics([0.5, 0.04, 0.2], areRight: [true, true, false], others: [0.2, 0.01, 0.05, 0.01]))
        // 0.5 is larger than all 4, 0.04 than 2, 0.2 than 3 and equal to 1: 9.5 of 12.
        #expect(fit.auroc == 9.5 / 12)
        #expect(fit.coverage == 2.0 / 3 && fit.othersKept == 0.5 && fit.accuracyKept == 0.5)
        #expect(fit.images == 3 && fit.others == 4)
    }

    @Test func whatIsNotKnownIsLeftOut() throws {
        let fit = try #require(FitMetrics([0.5], areRight: nil, others: []))
        #expect(fit.auroc == nil && fit.othersKept == nil && fit.accuracyKept == nil && fit.coverage == 1)
        #expect(FitMetrics([], areRight: [], others: [0.5]) == nil)
        #expect(FitMetrics([0.01], areRight: [true], others: [])?.accuracyKept == nil)
    }
}
