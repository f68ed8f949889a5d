import Files
import Synchronization
import Tensors
import Testing

@testable import mergevit

/// The status line by itself, with a clock and a terminal that the test has in its hand.
@Suite struct StatusTests {
    /// A terminal, a clock, and all that was written.
    private final class Scene: Sendable {
        private let state = Mutex((columns: 80, seconds: 0.0, text: ""))
        var text: String { state.withLock(\.text) }

        func output(_ kind: StatusOutput.Kind) -> StatusOutput {
            StatusOutput(
                kind: kind,
                .init(
                    columns: { [self] in state.withLock(\.columns) }, seconds: { [self] in state.withLock(\.seconds) },
                    write: { [self] bytes in state.withLock { $0.text += String(decoding: bytes, as: UTF8.self) } }))
        }

        func set(columns: Int) { state.withLock { $0.columns = columns } }
        func pass(_ seconds: Double) { state.withLock { $0.seconds += seconds } }

        /// Shows a new status several times; the clock advances by `interval` seconds after each.
        func show(_ text: StatusText, on output: StatusOutput, times: Int, interval: Double) {
            for _ in 0..<times {
                output.show(isNew: true) { text }
                pass(interval)
            }
        }
    }

    private static let text = StatusText("reading images: 640 of 2525", "161.3 images/s", "3 failed", left: 66)

    @Test(
        arguments: [
            (80, "reading images: 640 of 2525, 161.3 images/s, 3 failed, 1:06 left"),
            (60, "reading images: 640 of 2525, 161.3 images/s, 1:06 left"),
            (40, "reading images: 640 of 2525, 1:06 left"),
            (38, "reading images: 640 of 2525, 1:06 left"), (30, "reading images: 640 of 2525"),
            (12, "reading imag"), (1, "r"),
        ])
    func whatDoesNotFitIsLeftOut(_ columns: Int, _ expected: String) {
        #expect(Self.text.fitted(to: columns) == expected)
    }

    @Test func wideCharactersCountTwice() {
        let text = StatusText("東京: 3 of 10", left: 5)
        #expect(text.fitted(to: 13) == "東京: 3 of 10")
        #expect(text.fitted(to: 12) == "東京: 3 of 1")
        #expect(StatusText("東京東京東京").fitted(to: 7) == "東京東")
        for columns in 1..<40 { #expect(StatusText.columns(of: text.fitted(to: columns)) <= columns) }
    }

    @Test func theWidthIsAskedForAgainEachTime() {
        let scene = Scene()
        let output = scene.output(.terminal)
        output.show { Self.text }
        output.show { Self.text }
        scene.set(columns: 40)
        scene.pass(0.2)
        output.show { Self.text }
        scene.pass(0.01)
        output.show(isNew: true) { StatusText("tasks\u{7}\n: 1 of 2") }
        output.write(Array("a line\n".utf8))
        output.write(Array("another\n".utf8))
        #expect(
            scene.text
                == "\r\(Self.text.text)\u{1B}[K" + "\rreading images: 640 of 2525, 1:06 left\u{1B}[K"
                + "\rtasks??: 1 of 2\u{1B}[K" + "\r\u{1B}[Ka line\nanother\n")
    }

    @Test func theLastLineGoesBelow() {
        let scene = Scene()
        let output = scene.output(.terminal)
        output.show { Self.text }
        output.writeLast("stopped")
        output.clear()
        output.writeLast("again")
        #expect(scene.text == "\r\(Self.text.text)\u{1B}[K\nstopped\nagain\n")
    }

    @Test func aLogGetsALineAMinute() {
        let scene = Scene()
        let output = scene.output(.log)
        scene.show(Self.text, on: output, times: 590, interval: 0.1)
        #expect(scene.text.isEmpty)
        scene.show(Self.text, on: output, times: 1210, interval: 0.1)
        #expect(scene.text == String(repeating: Self.text.text + "\n", count: 2))
        // A line of another kind does as well.
        output.write(Array("epoch\n".utf8))
        scene.pass(59)
        output.show { Self.text }
        #expect(scene.text.hasSuffix("left\nepoch\n"))
    }

    @Test func aDumbTerminalGetsALineNowAndThen() {
        let scene = Scene()
        let output = scene.output(.dumbTerminal)
        scene.show(Self.text, on: output, times: 100, interval: 0.125)
        #expect(scene.text == String(repeating: Self.text.text + "\n", count: 2))
    }

    @Test func stagesTellWhatIsLeft() {
        let scene = Scene()
        let display = StageDisplay(scene.output(.log))
        func show(_ stages: [(String, Int, Int)]) -> String {
            scene.pass(60)
            let before = scene.text.count
            display.show(stages.map { LongWork.Stage(name: $0.0, done: $0.1, total: $0.2) })
            return String(scene.text.dropFirst(before))
        }
        #expect(show([("trying scales", 0, 4)]) == "trying scales: 0 of 4\n")
        #expect(show([("trying scales", 0, 4), ("tasks", 1, 2)]) == "trying scales: 0 of 4, tasks: 1 of 2\n")
        let inner = [("trying scales", 0, 4), ("tasks", 1, 2), ("computing images", 3, 10)]
        #expect(
            show(inner) == "trying scales: 0 of 4, tasks: 1 of 2, computing images: 3 of 10, 14:00 left\n")
        #expect(show([("trying scales", 2, 4)]) == "trying scales: 2 of 4, 3:00 left\n")
        // Another stage has another clock; parts of one have no number; a total may be unknown.
        #expect(
            show([("reading folders", 0, 1), ("reading images", 0, 10)]) == "reading images: 0 of 10\n"
        )
        #expect(
            show([("reading folders", 0, 1), ("reading images", 5, 10)])
                == "reading images: 5 of 10, 1:00 left\n")
        #expect(show([("listing inputs", 512, 0)]) == "listing inputs: 512\n")
    }
}
