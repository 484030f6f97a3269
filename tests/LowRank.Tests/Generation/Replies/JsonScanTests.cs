using System.Text.Json;
using LowRank.Data;
using LowRank.Generation.Replies;

namespace LowRank.Tests.Generation.Replies;

/// <summary>The scan agrees with System.Text.Json on what is JSON and where it ends.</summary>
public sealed class JsonScanTests
{
    [Theory]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData(" \n{ \"a\" : [ 1 , -0 , 2.5e-3 , 1E+9 , true , false , null , \"\\u00e9\\\"\\\\\" ] , \"b\" : { } }")]
    [InlineData("\"text\"")]
    [InlineData("[[[[[[]]]]]]")]
    public void Json_ends_with_its_last_character(string json)
    {
        Assert.Equal(json.Length - 1, LastOf(json));
        Assert.Equal(json.Length - 1, LastOf(json + "}x"));
        Assert.Null(LastOf(json[..^1]));
    }

    [Theory]
    [InlineData("-12.5e3,", 6)]
    [InlineData("0 ", 0)]
    [InlineData("7}", 0)]
    public void A_number_ends_before_what_follows(string json, int last)
    {
        var scan = new JsonScan();
        Assert.All(json[..(last + 1)], c => Assert.Equal(JsonStep.Inside, scan.Read(c)));
        Assert.Equal(JsonStep.Past, scan.Read(json[last + 1]));
    }

    [Fact]
    public void Nesting_has_the_limit_of_the_reader()
    {
        string deepest = new string('[', 64) + new string(']', 64);
        Assert.Equal(127, LastOf(deepest));
        JsonDocument.Parse(deepest).Dispose();
        Assert.Equal(-1, LastOf("[" + deepest + "]"));
        Assert.ThrowsAny<JsonException>(() => JsonDocument.Parse("[" + deepest + "]"));
    }

    // Random texts of JSON's letters, so most are nearly JSON.
    [Fact]
    public void Random_texts_are_json_where_the_reader_says_so()
    {
        string[] words =
            ["{", "}", "[", "]", ",", ":", "\"a\"", "\"\\n\"", "\"\\q\"", "1", "0", "-", ".5", "e1", " ", "true", "nul",
                "null", "\"a\":", "{\"a\":", "01", "\t"];
        var random = new StableRandom(3);
        int valid = 0;
        for (int run = 0; run < 50_000; run++)
        {
            string text = "{[\""[random.Below(3)] + string.Concat(
                Enumerable.Range(0, 1 + random.Below(7)).Select(_ => words[random.Below(words.Length)]));
            int? last = LastOf(text);
            bool isJson = IsJson(text);
            if (isJson) valid++;
            Assert.Equal(isJson, last is { } at and >= 0 && string.IsNullOrWhiteSpace(text[(at + 1)..]));
            if (last is { } end and >= 0) Assert.True(IsJson(text[..(end + 1)]));
        }
        Assert.True(valid > 300, $"only {valid} were JSON");
    }

    // The place of the last character; null if the value goes on, -1 if it is not JSON.
    private static int? LastOf(string json)
    {
        var scan = new JsonScan();
        for (int i = 0; i < json.Length; i++)
        {
            JsonStep step = scan.Read(json[i]);
            if (step == JsonStep.Wrong) return -1;
            if (step == JsonStep.End) return i;
        }
        return null;
    }

    private static bool IsJson(string text)
    {
        try
        {
            JsonDocument.Parse(text).Dispose();
            return true;
        }
        catch (JsonException)
        {
            return false; // that is the answer
        }
    }
}
