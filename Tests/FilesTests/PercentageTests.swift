import Files
import Testing

@Suite struct PercentageTests {
    @Test(arguments: [
        (1, 2, "100.00 %"), (0.99999, 2, "99.99 %"), (0.99999, 0, "99 %"), (0.0205, 2, "2.05 %"), (0.05, 1, "5.0 %"),
        (0, 1, "0.0 %"), (0.9899, 1, "98.9 %"),
    ]) func lessThanAllNeverLooksLikeAll(_ share: Double, _ decimals: Int, _ expected: String) {
        #expect(percentage(roundingDown: share, decimals: decimals) == expected)
    }
}
