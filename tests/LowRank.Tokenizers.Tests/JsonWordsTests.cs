using System.Text.Json;

namespace LowRank.Tokenizers.Tests;

public sealed class JsonWordsTests
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, RespectNullableAnnotations = true,
            RespectRequiredConstructorParameters = true,
        UnmappedMemberHandling = System.Text.Json.Serialization.JsonUnmappedMemberHandling.Disallow,
    };

    [Theory]
    [InlineData("""{"name": 5}""", "name is 5, expected a value of another kind")]
    [InlineData("""{"name": "a", "count": "x"}""", "count is \"x\", expected a whole number")]
    [InlineData("""{"name": "a", "count": 1e308}""", "count is 1e308, expected a whole number")]
    [InlineData("""{"name": "a", "share": true}""", "share is true, expected a number")]
    [InlineData("""{"name": "a", "names": {"b": 1}}""", "names is {\"b\": 1}, expected a list")]
    [InlineData("""{"name": "a", "names": ["b", 7]}""", "names[1] is 7, expected a text")]
    [InlineData("""{"name": "a", "inner": {"name": "b", "is_set": 3}}""", "inner.is_set is 3, expected true or false")]
    [InlineData("""{"count": 1}""", "name is missing")]
    [InlineData("""{"name": null}""", "name is null, expected a value")]
    [InlineData("""{"name": "a", "colour": 1}""", "it has the key \"colour\", which is not known")]
    [InlineData("[1]", "it is [1], expected an object")]
    [InlineData("{\n\"name\": x", "it is no JSON from line 2, column 9 on")]
    [InlineData("", "it is no JSON from line 1, column 1 on")]
    public void What_is_wrong_is_said_with_what_was_found_expected_and_where(string json, string expected) =>
        Assert.Contains(
            expected, JsonWords.Of(
                Assert.ThrowsAny<JsonException>(() => JsonSerializer.Deserialize<Content>(json, Options)), json));

    private sealed record Content(string Name)
    {
        public int? Count { get; init; }

        public double? Share { get; init; }

        public IReadOnlyList<string>? Names { get; init; }

        public bool IsSet { get; init; }

        public Content? Inner { get; init; }
    }
}
