using System.Text;
using System.Text.Json;
using LowRank.Generation;

namespace LowRank.Tests.Generation.Constraints;

/// <summary>Whatever a client sends, a constraint is compiled or refused.</summary>
public sealed class ConstraintFuzzTests
{
    private static readonly string[] Pieces =
        ["a", "b", "(", ")", "[", "]", "{", "}", "*", "+", "?", "|", "^", "$", ".", "\\", "d", "p{L}", "1", ",",
            "{2,5}",
            "{0,300}", "-", "é", "😀", "(?:", "(?<x>", "\\u00e9", "\\d", "\\s", "[^a-c]", "(a|b)", ".*"];

    private static readonly Dictionary<string, string[]> Plain = new()
    {
        ["type"] = ["\"object\"", "\"string\"", "[\"integer\",\"null\"]", "\"array\"", "\"number\"", "3", "[]"],
        ["enum"] = ["[1,2,\"a\"]", "[{\"a\":1},[],null]", "[]", "7"],
        ["const"] = ["1.0", "\"a\"", "{\"a\":[1,2]}", "1e400", "1e999999999999"],
        ["required"] = ["[\"a\"]", "[\"z\",\"a\"]", "\"a\"", "[1]"],
        ["minimum"] = ["0", "-1.5", "1e3", "12345678901234567890", "1e500", "\"x\""],
        ["maximum"] = ["0", "-0", "1e3", "1e-300"],
        ["multipleOf"] = ["2", "0.01", "7", "0", "1e-9", "123456"],
        ["pattern"] = ["\"^a+$\"", "\"b\"", "\"(\"", "\"\\\\d{3}\"", "1"],
        ["format"] = ["\"date\"", "\"uri\"", "\"ipv6\"", "\"foo\"", "{}"],
        ["$ref"] = ["\"#\"", "\"#/properties/a\"", "\"#/nope\"", "\"x\"", "\"\"", "\"#/%\"", "1"],
        ["$anchor"] = ["\"a\"", "1"], ["$id"] = ["\"http://x/y\"", "1"], ["x-a"] = ["1"],
        ["minLength"] = ["0", "3", "2.5", "99999999999"], ["maxLength"] = ["0", "3", "1000", "-1", "1e400"],
        ["minItems"] = ["0", "1", "1000000000"], ["maxItems"] = ["0", "3", "1000000"],
        ["minProperties"] = ["0", "1", "3"], ["maxProperties"] = ["0", "1", "100"],
    };

    [Fact]
    public void Random_patterns_are_compiled_or_refused()
    {
        var random = new Random(7);
        int accepted = 0, refused = 0;
        for (int round = 0; round < 400; round++)
        {
            string pattern = string.Concat(Enumerable.Range(0, random.Next(1, 12))
                .Select(_ => Pieces[random.Next(Pieces.Length)]));
            try
            {
                TextConstraint.Regex(pattern).Compile(ConstraintCases.Bytes).Start().TryAdd('a');
                accepted++;
            }
            catch (InputException e)
            {
                Assert.NotEmpty(e.Message);
                refused++;
            }
        }
        Assert.True(accepted > 50 && refused > 50, $"{accepted} {refused}");
    }

    [Fact]
    public void Random_schemas_are_compiled_or_refused()
    {
        var random = new Random(8);
        int accepted = 0, refused = 0;
        for (int round = 0; round < 600; round++)
        {
            using var schema = JsonDocument.Parse(Schema(random, 0));
            try
            {
                TokenConstraint constraint = TextConstraint.JsonSchema(schema.RootElement)
                    .Compile(ConstraintCases.Bytes);
                Complete(constraint.Start(), random);
                accepted++;
            }
            catch (InputException e)
            {
                Assert.NotEmpty(e.Message);
                refused++;
            }
        }
        Assert.True(accepted > 50 && refused > 50, $"{accepted} {refused}");
    }

    // Whatever was written, something may follow or the text may end.
    private static void Complete(ConstraintState state, Random random)
    {
        for (int step = 0; step < 40 && !state.HasEnded; step++)
        {
            List<int> allowed = ConstraintCases.Allowed(state, 257);
            Assert.NotEmpty(allowed);
            Assert.True(state.TryAdd(allowed[random.Next(allowed.Count)]));
        }
    }

    private static string Schema(Random random, int depth)
    {
        if (random.Next(12) == 0 || depth > 3)
            return new[] { """{"$ref":"#"}""", "true", """{"type":"string"}""", "false", "1" }[random.Next(5)];
        string[] inner = ["properties", "patternProperties", "additionalProperties", "propertyNames", "items", "not",
            "prefixItems", "anyOf", "oneOf", "allOf", "$defs"];
        List<string> parts = [];
        foreach (string key in Plain.Keys.Concat(inner).OrderBy(_ => random.Next()).Take(random.Next(0, 5)))
        {
            var value = new StringBuilder();
            if (Plain.TryGetValue(key, out string[]? values)) value.Append(values[random.Next(values.Length)]);
            else if (key is "properties" or "patternProperties" or "$defs")
                value.Append($$"""{"a":{{Schema(random, depth + 1)}},"^b":{{Schema(random, depth + 1)}}}""");
            else if (key is "prefixItems" or "anyOf" or "oneOf" or "allOf")
                value.Append($"[{Schema(random, depth + 1)},{Schema(random, depth + 1)}]");
            else value.Append(Schema(random, depth + 1));
            parts.Add($"\"{key}\":{value}");
        }
        return $"{{{string.Join(',', parts)}}}";
    }
}
