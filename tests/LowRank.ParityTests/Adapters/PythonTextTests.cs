using System.Text.Json;
using LowRank.Adapters.Json;
using LowRank.Adapters.Patterns;

namespace LowRank.ParityTests.Adapters;

/// <summary>What Python writes and matches (Fixtures/adapters/make_python_cases.py).</summary>
public sealed class PythonTextTests
{
    private static readonly JsonElement Cases =
        JsonElement.Parse(
            File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Fixtures", "adapters", "python_cases.json")));

    // valid in Python and refused here, since .NET has nothing that means the same
    private static readonly HashSet<string> Refused =
    [
        @"(?x) l m _ head", @"(?ix)a", @"(?a)\w+", @"\U0000006cm_head", @"\N{LATIN SMALL LETTER L}m_head",
            @"\154m_head", @"\0",
        @"a*+b", @"a++b", @"(ab)\1|(?P<x>q)_proj",
    ];

    public static TheoryData<string> Patterns =>
        [.. Cases.GetProperty("patterns").EnumerateArray().Select(row => row[0].GetString()!)];

    [Fact]
    public void Floats_have_the_text_of_Python()
    {
        JsonElement floats = Cases.GetProperty("floats");
        Assert.Equal(150, floats.GetArrayLength());
        foreach (JsonElement row in floats.EnumerateArray())
            Assert.Equal(row[1].GetString(), PythonFloat.Text(BitConverter.Int64BitsToDouble(row[0].GetInt64())));
    }

    [Fact]
    public void Values_have_the_text_of_Python()
    {
        JsonElement values = Cases.GetProperty("values");
        Assert.Equal(11, values.GetArrayLength());
        foreach (JsonElement row in values.EnumerateArray())
            Assert.Equal(row[1].GetString(), PythonJson.Write(JsonElement.Parse(row[0].GetString()!)));
    }

    [Theory]
    [MemberData(nameof(Patterns))]
    public void Patterns_match_what_they_match_in_Python_or_are_refused(string pattern)
    {
        JsonElement expected = Cases.GetProperty("patterns").EnumerateArray()
            .Single(row => row[0].GetString() == pattern)[1];
        if (expected.ValueKind == JsonValueKind.Null || Refused.Contains(pattern))
        {
            InputException failure = Assert.Throws<InputException>(() => PythonRegex.Whole(pattern, "target_modules"));
            Assert.StartsWith($"target_modules: \"{pattern}\" ", failure.Message, StringComparison.Ordinal);
            return;
        }
        PythonRegex regex = PythonRegex.Whole(pattern, "target_modules");
        string[] paths = [.. Cases.GetProperty("paths").EnumerateArray().Select(path => path.GetString()!)];
        Assert.Equal(expected.EnumerateArray().Select(path => path.GetString()!), paths.Where(regex.IsMatch));
    }
}
