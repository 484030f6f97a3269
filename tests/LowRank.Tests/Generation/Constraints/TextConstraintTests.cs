using LowRank.Generation;
using static LowRank.Tests.Generation.Constraints.ConstraintCases;

namespace LowRank.Tests.Generation.Constraints;

public sealed class TextConstraintTests
{
    [Fact]
    public void A_text_is_allowed_as_it_is()
    {
        Accepts(TextConstraint.Text("é😀"), "é😀");
        Rejects(TextConstraint.Text("é😀"), "", "é", "é😀 ", "e😀");
        Accepts(TextConstraint.Text(""), "");
    }

    [Fact]
    public void A_choice_allows_its_texts_alone()
    {
        TextConstraint choice = TextConstraint.Choice("yes", "no", "yes please");
        Accepts(choice, "yes", "no", "yes please");
        Rejects(choice, "y", "", "yesno", "yes pleas");
    }

    [Fact]
    public void Parts_compose()
    {
        TextConstraint call = TextConstraint.Sequence(
            TextConstraint.Choice("f", "g"), TextConstraint.Text("("), TextConstraint.Repeat(
                TextConstraint.Regex("[0-9]{1,2}"), 0, 3, TextConstraint.Text(", ")), TextConstraint.Text(")"));
        TextConstraint either = TextConstraint.AnyOf(call, TextConstraint.Text("none"), TextConstraint.Choice("f"));
        Accepts(either, "f()", "g(1)", "f(12, 3, 45)", "none", "f");
        Rejects(either, "h()", "f(1,2)", "f(123)", "f(1, 2, 3, 4)", "f(1, )", "", "g");
    }

    [Theory]
    [InlineData("a?b?", 5, 7, "", "ab", "abababababab")]
    [InlineData("a|", 0, 2, "", "a", "aa")]
    [InlineData("a", 0, 0, "")]
    public void A_repeated_part_may_be_empty(string part, int min, int max, params string[] texts)
    {
        TextConstraint repeated = TextConstraint.Repeat(TextConstraint.Regex(part), min, max);
        Accepts(repeated, texts);
        Rejects(repeated, "aaaaaaaa", "c");
        // The same through a graph of parts.
        Accepts(TextConstraint.Repeat(TextConstraint.Sequence(
            TextConstraint.Regex(part), TextConstraint.Text("")), min, max), texts);
    }

    [Fact]
    public void Repetitions_are_counted_and_not_written_out()
    {
        TextConstraint many = TextConstraint.Repeat(TextConstraint.Text("ab"), 1000, 1_000_000);
        Accepts(many, string.Concat(Enumerable.Repeat("ab", 1000)), string.Concat(Enumerable.Repeat("ab", 2000)));
        Rejects(many, string.Concat(Enumerable.Repeat("ab", 999)));
        Assert.InRange(many.Compile(Bytes).StateCount, 1, 5000);
    }

    [Theory]
    [InlineData("a(b|c)*d{2,3}", "add abcbddd", "ad adddd abc")]
    [InlineData("^a+?$", "a aa", "b ab")]
    [InlineData(@"\d+[-.]\w\x41\u00e9\u{1F600}", "12-_Aé😀 1.xAé😀", "a-xAé😀")]
    [InlineData(@"[^a-cé]", "d 😀 -", "a é dd")]
    [InlineData(@"\p{Lu}\P{Lu}[\p{Nd}\-x]", "Äß5 Aa- Éax", "aa5 AA5")]
    [InlineData("(?:x|(?<name>y))z", "xz yz", "z xyz")]
    [InlineData(".", "é € 😀", "ab")]
    [InlineData("a{0}b{2}|", "bb", "b abb")]
    [InlineData("(^a|b$)*", "a b ab", "ba aa")]
    public void Regular_expressions_match_whole_texts(string pattern, string matching, string others)
    {
        TextConstraint regex = TextConstraint.Regex(pattern);
        Accepts(regex, matching.Split(' '));
        Rejects(regex, others.Split(' '));
    }

    [Theory]
    [InlineData("(a", "'(' is not closed (character 1)")]
    [InlineData("a)", "')' closes nothing (character 2)")]
    [InlineData("éa{2,1}", "{2,1} is out of order (character 3)")]
    [InlineData("a(?=b)", "look-around and flags are not (character 2)")]
    [InlineData("(?i)a", "look-around and flags are not (character 1)")]
    [InlineData(@"(a)\1", "backreferences are not supported (character 4)")]
    [InlineData(@"a\b", "word boundaries are not supported (character 2)")]
    [InlineData("a**", "has nothing to repeat (character 1)")]
    [InlineData("a*+", "possessive quantifiers are not supported")]
    [InlineData("[z-a]", "a range is out of order (character 2)")]
    [InlineData("[a", "'[' is not closed (character 1)")]
    [InlineData(@"\p{Foo}", "the property Foo is not known")]
    [InlineData(@"\ud800", "half of a surrogate pair")]
    [InlineData("a{1001}", "repeated more than 1000 times (character 3)")]
    [InlineData("((((a{1000}){1000}){1000}){1000})", "needs more than 20000 states")]
    [InlineData("((((){1000}){1000}){1000}){1000}", "takes too long to compile")]
    [InlineData("(a|b)*a(a|b){20}", "needs more than 20000 states")]
    [InlineData("$a", "matches no text")]
    public void A_regular_expression_that_cannot_be_used_says_why_and_where(string pattern, string expected) =>
        Assert.Contains(expected, Refusal(() => TextConstraint.Regex(pattern)), StringComparison.Ordinal);

    [Fact]
    public void Deep_nesting_is_refused()
    {
        string deep = new string('(', 100_000) + "a" + new string(')', 100_000);
        Assert.Contains("expected at most 10000", Refusal(() => TextConstraint.Regex(deep)), StringComparison.Ordinal);
        deep = new string('(', 200) + "a" + new string(')', 200);
        Assert.Contains("more than 100 deep", Refusal(() => TextConstraint.Regex(deep)), StringComparison.Ordinal);
        Assert.Contains("more than 100 deep", Refusal(() => Enumerable.Range(0, 200).Aggregate(
            TextConstraint.Text("a"), (inner, _) => TextConstraint.Sequence(inner))), StringComparison.Ordinal);
    }

    [Fact]
    public void Wrong_arguments_are_refused()
    {
        Assert.Contains("no texts", Refusal(() => TextConstraint.Choice()), StringComparison.Ordinal);
        Assert.Contains("no constraints", Refusal(() => TextConstraint.AnyOf()), StringComparison.Ordinal);
        Assert.Contains("at least 2 and at most 1", Refusal(
            () => TextConstraint.Repeat(TextConstraint.Text("a"), 2, 1)), StringComparison.Ordinal);
        Assert.Contains("half of a surrogate pair at character 2", Refusal(() => TextConstraint.Text("a\ud800")),
            StringComparison.Ordinal);
    }

    [Fact]
    public void Any_JSON_object_is_one_line_with_at_most_one_space()
    {
        TextConstraint json = TextConstraint.Json();
        Accepts(json, "{}", """{"a":1}""", """{"a": [1, -2.5e3, {"b": null}], "": "\u00e9\ud83d\ude00é😀\n\/"}""");
        Rejects(json, "[]", "1", """{"a": "\ud83d"}""", """{"a": "\ude00\ud83d"}""", """{"a":  1}""", "{ }",
            """{"a":01}""", """{"a":1,}""", """{"a":"\x"}""", "{\"a\":\"\n\"}", """{a:1}""", "{} ");
    }

    [Fact]
    public void JSON_nests_as_deep_as_its_readers_go()
    {
        Accepts(TextConstraint.Json(), Nested(63));
        Rejects(TextConstraint.Json(), Nested(64));
        using var read = System.Text.Json.JsonDocument.Parse(Nested(63));
        Assert.ThrowsAny<System.Text.Json.JsonException>(() => System.Text.Json.JsonDocument.Parse(Nested(64)));

        static string Nested(int arrays) => $"{{\"a\":{new string('[', arrays)}{new string(']', arrays)}}}";
    }

    [Fact]
    public void What_is_too_ambiguous_loses_texts_but_allows_no_others()
    {
        // Each text can be read in as many ways as it has cuts.
        TextConstraint part = TextConstraint.Repeat(TextConstraint.Text("a"), 1, 3000);
        TokenConstraint constraint = TextConstraint.Sequence(
            TextConstraint.Repeat(part, 1, 3000), TextConstraint.Text("b")).Compile(Bytes);
        ConstraintState state = constraint.Start();
        for (int i = 0; i < 300; i++) Assert.True(state.TryAdd('a'));
        Assert.False(state.TryAdd('c'));
        Assert.True(state.TryAdd('b'));
        Assert.True(state.MustEnd);
    }
}
