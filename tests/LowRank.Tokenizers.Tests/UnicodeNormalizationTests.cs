using System.Text;
using System.Text.Json;
using CsCheck;
using LowRank.Tokenizers.Unicode;

namespace LowRank.Tokenizers.Tests;

public sealed class UnicodeNormalizationTests
{
    private static readonly (string Name, Func<string, string> Apply)[] Forms =
    [
        ("NFC", UnicodeNormalization.Nfc), ("NFD", UnicodeNormalization.Nfd),
        ("NFKC", UnicodeNormalization.Nfkc), ("NFKD", UnicodeNormalization.Nfkd),
    ];

    /// <summary>Texts rich in what matters: marks, letters that decompose, Hangul, lone surrogates, planes beyond the
    /// first.</summary>
    private static readonly Gen<string> Texts = Gen.OneOf(
        Gen.Char['a', 'f'].Select(c => c.ToString()),
        Gen.Char['\u0300', '\u036F'].Select(c => c.ToString()),
        Gen.Char['\u00A0', '\u0233'].Select(c => c.ToString()),
        Gen.Char['\u0900', '\u0DFF'].Select(c => c.ToString()),
        Gen.Char['\u1100', '\u11FF'].Select(c => c.ToString()),
        Gen.Char['\u1E00', '\u1FFF'].Select(c => c.ToString()),
        Gen.Char['\uAC00', '\uD7A3'].Select(c => c.ToString()),
        Gen.Char['\uD800', '\uDFFF'].Select(c => c.ToString()),
        Gen.Char['\uF900', '\uFFFF'].Select(c => c.ToString()),
        Gen.Int[0x1D150, 0x1D200].Select(char.ConvertFromUtf32),
        Gen.Int[0x11080, 0x11600].Select(char.ConvertFromUtf32)).Array[0, 12].Select(string.Concat);

    [Fact]
    public void Every_case_of_the_reference_agrees()
    {
        var wrong = new List<string>();
        int cases = 0;
        foreach (string line in File.ReadLines(
            Path.Combine(AppContext.BaseDirectory, "Fixtures/normalization_cases.jsonl")))
        {
            string[] texts = JsonSerializer.Deserialize<string[]>(line)!;
            cases++;
            for (int form = 0; form < Forms.Length; form++)
            {
                string found = Forms[form].Apply(texts[0]);
                if (found != texts[form + 1])
                    wrong.Add(
                        $"{Forms[form].Name} of {Hexadecimal(texts[0])}: {Hexadecimal(found)}, not " +
                        $"{Hexadecimal(texts[form + 1])}");
            }
        }
        Assert.True(wrong.Count == 0, string.Join('\n', wrong.Take(20)));
        Assert.True(cases > 2000);
    }

    [Fact]
    public void Normalizing_again_changes_nothing() => Texts.Sample(text => Forms.All(form =>
    {
        string once = form.Apply(text);
        return form.Apply(once) == once;
    }));

    [Fact]
    public void Composing_does_not_depend_on_the_form_before() => Texts.Sample(text =>
        UnicodeNormalization.Nfc(UnicodeNormalization.Nfd(text)) == UnicodeNormalization.Nfc(text)
        && UnicodeNormalization.Nfd(UnicodeNormalization.Nfc(text)) == UnicodeNormalization.Nfd(text)
        && UnicodeNormalization.Nfkc(UnicodeNormalization.Nfd(text)) == UnicodeNormalization.Nfkc(text)
        && UnicodeNormalization.Nfkd(UnicodeNormalization.Nfkc(text)) == UnicodeNormalization.Nfkd(text));

    [Fact]
    public void A_text_that_passes_unchanged_beside_a_mark_passes_unchanged_alone() => Texts.Sample(text =>
        // A mark at the end, a starter apart, forces the long way; the quick check must never have skipped a change.
        Forms.All(form => form.Apply(text + "x\u0301\u0327") == form.Apply(text) + form.Apply("x\u0301\u0327")));

    [Fact]
    public void Every_Hangul_syllable_comes_back()
    {
        for (int point = 0xAC00; point <= 0xD7A3; point++)
        {
            string syllable = char.ConvertFromUtf32(point);
            string letters = UnicodeNormalization.Nfd(syllable);
            Assert.InRange(letters.Length, 2, 3);
            Assert.Equal(syllable, UnicodeNormalization.Nfc(letters));
        }
    }

    [Theory]
    [InlineData("plain ASCII")]
    [InlineData("caf\u00e9 \u4e2d\u6587 \ud55c\uad6d \ud83d\ude00")]
    public void A_composed_text_is_returned_itself(string text) => Assert.Same(text, UnicodeNormalization.Nfc(text));

    [Fact]
    public void An_empty_text_stays_empty() => Assert.All(Forms, form => Assert.Equal("", form.Apply("")));

    [Theory]
    [InlineData('\uD800')]
    [InlineData('\uDC00')]
    public void A_lone_surrogate_passes_through(char surrogate) =>
        Assert.Equal($"\u00e9{surrogate}\u0301e", UnicodeNormalization.Nfc($"e\u0301{surrogate}\u0301e"));

    [Fact]
    public void Characters_after_Unicode_9_stay_as_in_tokenizers() =>
        // the square era name Reiwa, of Unicode 12.1
        Assert.All(Forms, form => Assert.Equal("\u32FF", form.Apply("\u32FF")));

    [Fact]
    public void A_long_run_of_marks_in_wrong_order_takes_no_quadratic_time()
    {
        const int Pairs = 500_000; // by insertion this takes minutes
        var text = new StringBuilder("a");
        for (int i = 0; i < Pairs; i++) text.Append("\u0301\u0316");
        string expected = "a" + new string('\u0316', Pairs) + new string('\u0301', Pairs);
        Assert.True(UnicodeNormalization.Nfd(text.ToString()) == expected);
    }

    private static string Hexadecimal(string text) => string.Join(' ', text.Select(c => ((int)c).ToString("X4")));
}
