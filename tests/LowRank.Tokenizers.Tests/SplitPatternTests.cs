using System.Text;
using System.Text.Json.Nodes;
using LowRank.Tokenizers.Patterns;
using LowRank.Tokenizers.PreTokenizers;

namespace LowRank.Tokenizers.Tests;

/// <summary>Regular expressions of tokenizer files against the tokenizers library
/// (Reference/make_split_patterns.js).</summary>
public sealed class SplitPatternTests
{
    private static readonly JsonObject[] Rows =
        [.. File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Fixtures", "split_patterns.jsonl"))
        .Select(line => JsonNode.Parse(line)!.AsObject())];

    [Fact]
    public void Patterns_split_texts_as_the_reference_does()
    {
        var differences = new List<string>();
        int cases = 0;
        foreach (JsonObject row in Rows.Where(row => row["cases"] is not null))
        {
            JsonObject json = row["json"]!.AsObject();
            IPreTokenizer splitter;
            try
            {
                splitter = PreTokenizerReader.Read(new ComponentJson(json, "fixture"));
            }
            catch (InputException e)
            {
                differences.Add(e.Message);
                continue;
            }
            foreach (JsonNode? pair in row["cases"]!.AsArray())
            {
                string text = pair![0]!.GetValue<string>(), expected = pair[1]!.ToJsonString();
                var parts = new List<Piece>();
                splitter.Split(new Piece(text, 0, text.Length, AsBytes: false), isFirst: true, parts);
                string found =
                    new JsonArray(
                        [.. parts.Where(part => part.Length > 0).Select(part => (JsonNode)part.Span.ToString())])
                        .ToJsonString();
                if (found != expected)
                    differences.Add(
                        $"{json["pattern"]?["Regex"]} {json["behavior"]}: {pair[0]!.ToJsonString()} gives\n  " +
                        $"{found}, expected\n  {expected}");
                cases++;
            }
        }
        Assert.True(differences.Count == 0,
            $"{differences.Count} differences:\n" + string.Join('\n', differences.Take(40)));
        Assert.InRange(cases, 2400, 3000);
    }

    [Fact]
    public void Classes_hold_as_many_characters_as_the_reference_s()
    {
        JsonObject[] counts = [.. Rows.Where(row => row["count"] is not null)];
        Assert.Equal(44, counts.Length);
        string all = string.Concat(
            Enumerable.Range(1, 0x10FFFF).Where(Rune.IsValid).Select(point => new Rune(point).ToString()));
        Assert.Equal(counts.Select(row => $"{row["pattern"]} {row["count"]}"),
            counts.Select(
                row => $"{row["pattern"]} " +
                $"{CodePointPattern.Compile(row["pattern"]!.GetValue<string>(), "test").Matches(all).Count()}"));
    }

    [Fact]
    public void What_the_reference_refuses_is_refused_with_its_place()
    {
        JsonObject[] refused = [.. Rows.Where(row => row["error"] is not null)];
        Assert.InRange(refused.Length, 10, 20);
        Assert.All(refused, row => Assert.StartsWith("fixture: the pattern ",
            Assert.Throws<InputException>(
                () => PreTokenizerReader.Read(new ComponentJson(row["json"]!.AsObject(), "fixture"))).Message,
                StringComparison.Ordinal));
    }
}
