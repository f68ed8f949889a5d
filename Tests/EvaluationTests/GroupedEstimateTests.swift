import Testing

@testable import Evaluation

@Suite struct GroupedEstimateTests {
    private let same = (0..<200).map { $0 % 10 != 0 }
    private let alone = Array(0..<200)

    @Test func imagesAloneHaveWilsonsInterval() throws {
        let share = try #require(Estimate.share(same, groups: alone))
        #expect(share == Estimate(0.9, .wilson(180, of: 200)))
        #expect(Estimate.share([], groups: []) == nil)
    }

    /// Images that come in tens, all of ten with one answer, are worth as many as there are tens.
    @Test func groupsThatAgreeCountOnce() throws {
        let grouped = (0..<200).map { $0 / 10 % 10 != 0 }
        let share = try #require(Estimate.share(grouped, groups: alone.map { $0 / 10 }))
        let interval = try #require(share.interval)
        let whole = try #require(ConfidenceInterval.wilson(18, of: 20))
        #expect(share.value == 0.9 && abs(interval.low - whole.low) < 0.01 && abs(interval.high - whole.high) < 0.01)
        // Where the answers do not follow the groups, the interval is no narrower than that of single images.
        let mixed = try #require(Estimate.share(same, groups: alone.map { $0 / 10 }))
        #expect(mixed == Estimate(0.9, .wilson(180, of: 200)))
    }

    @Test func whereAllAgreeTheIntervalIsThatOfTheGroups() throws {
        let all = [Bool](repeating: true, count: 60)
        let share = try #require(Estimate.share(all, groups: (0..<60).map { $0 / 10 }))
        #expect(share == Estimate(1, .wilson(6, of: 6)))
        #expect(Estimate.share(all, groups: Array(0..<60)) == Estimate(1, .wilson(60, of: 60)))
        #expect(Estimate.share([true, false], groups: [0, 0])?.interval == .wilson(share: 0.5, of: 1))
    }

    @Test func meansAreResampledByGroups() throws {
        func width(_ groups: [Int]) throws -> Double {
            let values = (0..<200).map { Double($0 / 10 % 4) }
            let mean = try #require(Estimate.mean(of: values, groups: groups, within: 0...9, task: "t"))
            let interval = try #require(mean.interval)
            #expect(mean.value == 1.5 && interval.low < 1.5 && interval.high > 1.5)
            return interval.high - interval.low
        }
        let (single, grouped) = (try width(alone), try width(alone.map { $0 / 10 }))
        // Of 200 and of 20 independent values with a deviation of 1.118.
        #expect(abs(single - 2 * 1.96 * 1.118 / 200.0.squareRoot()) < 0.03)
        #expect(abs(grouped - 2 * 1.96 * 1.118 / 20.0.squareRoot()) < 0.12)
        #expect(Estimate.mean(of: [], groups: [], within: 0...1, task: "t") == nil)
    }
}
