package import Datasets
import Files

/// One of several parts of a run, each of which may run on another machine.
///
/// Parts are stretches of the list of inputs, so that their rows one after the other are those of a run over all.
package struct Shard: Sendable, Equatable, CustomStringConvertible {
    /// How the list is divided.
    package enum Balance: String, Sendable, CaseIterable {
        /// Every part has as many inputs, give or take one.
        case count
        /// Every part has about as many bytes of files.
        case bytes
    }

    /// More parts than these are not made.
    package static let maximumParts = 1_000_000

    /// Which part it is, from 1.
    package let number: Int
    /// How many parts there are.
    package let count: Int
    /// How the list is divided.
    package let balance: Balance

    /// A part `K/N`; nil unless 1 <= K <= N.
    package init?(_ text: String, balance: Balance) {
        let numbers = text.split(separator: "/", omittingEmptySubsequences: false)
        guard numbers.count == 2, let number = Int(numbers[0]), let count = Int(numbers[1]),
            (1...Shard.maximumParts).contains(count), (1...count).contains(number)
        else { return nil }
        (self.number, self.count, self.balance) = (number, count, balance)
    }

    /// The part as it is given on the command line.
    package var description: String { "\(number)/\(count)" }
}

/// What all inputs of a source are, found by going through them once without opening a file.
package struct InputSurvey: Sendable, Equatable {
    /// How many there are.
    package let inputs: Int
    /// The `InputDigest` of their paths.
    package let paths: String
    /// The numbers of those in the part that was asked for.
    package let part: Range<Int>

    /// What a file counts in addition to its bytes when parts are balanced by bytes: opening it costs something, too.
    static let bytesPerFile = 4096

    /// Goes through a source; a second time, and looking at every file's size, if parts are to be balanced by bytes.
    ///
    /// - Returns: nil when `isStopped` says so.
    /// - Throws: `LabellingError` when a list cannot be read, or the inputs change meanwhile.
    package init?(_ source: InputSource, shard: Shard, isStopped: () -> Bool = { false }) throws {
        let weighs = shard.balance == .bytes
        guard let whole = try Pass(source, weighs: weighs, isStopped: isStopped) else { return nil }
        (inputs, paths) = (whole.inputs, whole.paths)
        if weighs {
            guard let bounds = try whole.bounds(source, shard, isStopped: isStopped) else { return nil }
            part = bounds
        } else {
            part = whole.inputs * (shard.number - 1) / shard.count..<whole.inputs * shard.number / shard.count
        }
    }

    /// One walk over the inputs.
    private struct Pass {
        var inputs = 0
        var weight = 0
        var paths = ""

        init?(
            _ source: InputSource, weighs: Bool, isStopped: () -> Bool, each: (_ before: Int) -> Void = { _ in }
        ) throws {
            let lister = try InputLister(source)
            var digest = InputDigest()
            var path: [UInt8] = []
            while let input = try lister.next(into: &path, waiting: { !($0 && isStopped()) }) {
                if inputs % 256 == 0 {
                    LongWork.note("listing inputs", inputs, of: 0)
                    if isStopped() { return nil }
                }
                digest.add(path)
                each(weight)
                if weighs { weight += InputSurvey.weight(input, path) }
                inputs += 1
            }
            guard !isStopped() else { return nil }
            paths = digest.text
        }

        /// The inputs of a part: those before which its share of the whole weight lies.
        func bounds(_ source: InputSource, _ shard: Shard, isStopped: () -> Bool) throws -> Range<Int>? {
            var (lower, upper) = (0, 0)
            let again = try Pass(source, weighs: true, isStopped: isStopped) { before in
                let scaled = UInt(before).multipliedFullWidth(by: UInt(shard.count))
                let number = before < weight ? Int(UInt(weight).dividingFullWidth(scaled).quotient) + 1 : shard.count
                if number < shard.number { lower += 1 }
                if number <= shard.number { upper += 1 }
            }
            guard let again else { return nil }
            guard again.paths == paths, again.weight == weight else {
                throw LabellingError.shards(
                    "the inputs change while they are looked at; a list of them (mergevit list) would stay")
            }
            return lower..<upper
        }
    }

    private static func weight(_ input: ListedInput, _ path: [UInt8]) -> Int {
        switch input {
        case .member(let member): return bytesPerFile + member.size
        case .unreadable: return bytesPerFile
        case .file:
            guard case .success(let status) = FileStatus.of(BytePath(path)), status.isRegular else {
                return bytesPerFile
            }
            return bytesPerFile + status.size
        }
    }
}
