import Foundation
import Synchronization
import Testing

@testable import Files

@Suite struct LongWorkTests {
    private final class Log: Sendable {
        private let stages = Mutex<[[LongWork.Stage]]>([])
        var all: [[LongWork.Stage]] { stages.withLock(\.self) }
        func add(_ found: [LongWork.Stage]) -> Int {
            stages.withLock {
                $0.append(found)
                return $0.count
            }
        }
    }

    private func work() throws -> Int {
        var sum = 0
        for part in 0..<2 {
            sum += try LongWork.part("outer", part, of: 2) {
                try LongWork.report("inner", 0, of: 3)
                return part
            }
        }
        return sum
    }

    @Test func partsOfPartsAreTold() throws {
        let log = Log()
        let sum = try LongWork.observed(by: {
            _ = log.add($0); return true
        }) { try work() }
        #expect(sum == 1)
        #expect(
            log.all.map { $0.map { "\($0.name) \($0.done)/\($0.total)" }.joined(separator: " ") } == [
                "outer 0/2", "outer 0/2 inner 0/3", "outer 1/2", "outer 1/2 inner 0/3",
            ])
    }

    @Test func workWithoutAnObserverIsNotDisturbed() throws { #expect(try work() == 1) }

    @Test(arguments: 1...4) func anObserverStopsTheWork(_ after: Int) throws {
        let log = Log()
        #expect(throws: CancellationRequested.self) {
            try LongWork.observed(by: { log.add($0) < after }) { try work() }
        }
        #expect(log.all.count == after)
    }

    @Test func partsOnOtherThreadsAreCounted() throws {
        let log = Log()
        LongWork.observed(by: { log.add($0) < 5 }) {
            let counter = LongWork.Counter("layers", of: 8)
            let stopped = Mutex(0)
            DispatchQueue.concurrentPerform(iterations: 8) { _ in
                do {
                    try counter.check()
                    try counter.advance()
                } catch { stopped.withLock { $0 += 1 } }
            }
            #expect(stopped.withLock(\.self) == 4)
        }
        #expect(log.all.map { $0[0].done } == [1, 2, 3, 4, 5])
    }
}
