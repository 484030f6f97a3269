using System.Text;
using System.Text.RegularExpressions;
using CsCheck;
using LowRank.Tokenizers.Patterns;

namespace LowRank.Tokenizers.Tests;

/// <summary>What regular expressions of tokenizer files must not do, and .NET's own as a second opinion where both
/// agree.</summary>
public sealed class CodePointPatternTests
{
    private static readonly string[] Common =
        ["a*b", "(?:a|ab)(?:c|bcd)?", "a+?b", "(?:ab|c)*", "(?:a?b?)*c", "(?=ab)a", "(?<=a)b", "(?<!a)b+", "a{2,3}",
            "a{2,}?", "(?:a{1,2}b){2}", "(?>a+)b|a", @"\bab", "^a|c$", "[^a]+", "(?:(?:a|b)+c)*"];

    [Fact]
    public void Matches_are_those_of_NETs_expressions_where_both_read_alike() =>
        Gen.Select(Gen.Int[0, Common.Length - 1].Select(i => Common[i]), Gen.Char["abc \n"].Array[0, 14])
            .Sample((pattern, letters) =>
        {
            string text = new(letters);
            var regex = new Regex(
                pattern, RegexOptions.Multiline | RegexOptions.CultureInvariant, TimeSpan.FromMinutes(10));
            // .NET takes an empty match where the last one ended, which the tokenizers library does not.
            List<(int, int)> expected = [];
            foreach (Match match in regex.Matches(text))
                if (match.Length > 0 || expected.Count == 0 || match.Index != expected[^1].Item1 + expected[^1].Item2)
                    expected.Add((match.Index, match.Length));
            Assert.Equal(expected, CodePointPattern.Compile(pattern, "test").Matches(text).ToList());
        }, iter: 4000);

    [Theory]
    [InlineData("(?:a*)*b")]
    [InlineData("(?:a|a)*b")]
    [InlineData("(?:a+)+$")]
    public void A_pattern_that_would_take_forever_is_refused(string pattern)
    {
        var compiled = CodePointPattern.Compile(pattern, "file");
        Assert.Contains(
            "file: the pattern",
            Assert.Throws<InputException>(() => compiled.Matches(new string('a', 60) + "c").Count()).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("(?:(?:ab){1000}){1000}", "steps")]
    [InlineData("a{100000}", "more than 1000 times")]
    [InlineData(@"\p{Klingon}", @"\p{Klingon} is not known; expected general categories")]
    [InlineData(@"(a)\1", @"\1 is not supported")]
    [InlineData(@"\X", @"\X is not supported")]
    [InlineData(@"\pL", @"\p is not supported")]
    [InlineData("[[:alpha:]]", "[:alpha:] is not known")]
    [InlineData("(?~a)", "(?~) is no flag")]
    [InlineData("[]", "ends too soon")]
    public void What_is_not_supported_is_said(string pattern, string expected)
    {
        string message = Assert.Throws<InputException>(
            () => CodePointPattern.Compile(pattern, "file: pre_tokenizer")).Message;
        Assert.StartsWith("file: pre_tokenizer: the pattern ", message, StringComparison.Ordinal);
        Assert.Contains(expected, message, StringComparison.Ordinal);
    }

    [Fact]
    public void Deep_nesting_is_refused_and_long_texts_take_no_stack()
    {
        string deep = new StringBuilder().Insert(0, "(", 5000).ToString() + new string(')', 5000);
        Assert.Contains(
            "groups stand in one another",
            Assert.Throws<InputException>(() => CodePointPattern.Compile(deep, "file")).Message,
            StringComparison.Ordinal);
        Assert.Equal([(0, 400_000)], CodePointPattern.Compile("(?:ab|cd)*", "file")
            .Matches(string.Concat(Enumerable.Repeat("abcd", 100_000))));
    }

    [Fact]
    public void Letters_beyond_the_basic_plane_count_as_letters()
    {
        Assert.Equal([(0, 4), (4, 1), (5, 2)], CodePointPattern.Compile(@"\p{L}++|\p{N}| ", "file").Matches("𐐀𐐁 𝟏"));
        Assert.Equal("_ _", CodePointPattern.Compile("[😀-🙏]", "file").Replace("😀 🙏", "_"));
    }
}
