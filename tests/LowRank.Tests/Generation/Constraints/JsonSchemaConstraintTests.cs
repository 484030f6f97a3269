using System.Text.Json;
using LowRank.Generation;
using static LowRank.Tests.Generation.Constraints.ConstraintCases;

namespace LowRank.Tests.Generation.Constraints;

public sealed class JsonSchemaConstraintTests
{
    [Fact]
    public void Properties_come_in_the_schemas_order_and_optional_ones_may_be_left_out()
    {
        TextConstraint schema = Schema("""
            {"type": "object", "properties": {"name": {"type": "string", "maxLength": 3},
             "age": {"type": "integer", "minimum": -5, "maximum": 120}, "x": {"type": ["boolean", "null"]}},
             "required": ["name"], "additionalProperties": false}
            """);
        Accepts(schema, """{"name": "abc"}""", """{"name":"\n\u00e9é","age":120}""", """{"name": "😀", "age": -5}""",
            """{"name": "", "age": 0, "x": null}""", """{"name": "", "x": true}""");
        Rejects(schema, "{}", """{"name": "abcd"}""", """{"age":1,"name":"a"}""", """{"name":"","age":121}""",
            """{"name":"","age":-6}""", """{"name":"","age":-0}""", """{"name":"","y":1}""", """{"name":"",}""",
            """{"name":"","age":1.0}""", """{"name":"" ,"age":1}""");
    }

    [Theory]
    [InlineData("""{"minimum": -1.25, "exclusiveMaximum": 10.5, "multipleOf": 0.25}""",
        "0 -1.25 10.25 10.250 -1 3.5", "10.5 -1.5 0.1 11 3.55 1e0 -2 .5 00")]
    [InlineData("""{"exclusiveMinimum": 0, "maximum": 0.001}""", "0.001 0.0001 0.00100", "0 0.0 0.0011 1 -0.0005")]
    [InlineData("""{"maximum": -10}""", "-10 -10.5 -99", "-9 -9.99 0 10")]
    [InlineData("""{"minimum": 5e1, "maximum": 12345678901234567890123}""",
        "50 12345678901234567890123", "49 49.9 12345678901234567890124")]
    [InlineData("""{"type": "integer", "minimum": 1.5, "multipleOf": 7}""", "7 14 700", "1 0 8 -7 7.0")]
    [InlineData("""{"type": "integer", "multipleOf": 2.5}""", "0 5 -10", "2 -5.0 7")]
    [InlineData("""{"type": "integer"}""", "0 -1 123456789012345678", "1.0 -0 01 1e1 1234567890123456789")]
    [InlineData("""{"type": "number"}""", "0 -1.5 1e10 1E-99", "+1 1. .1 1e100")]
    public void Numbers_have_limits(string schema, string valid, string invalid)
    {
        TextConstraint all = Schema(schema.Contains("type", StringComparison.Ordinal) ? schema
            : "{\"type\": \"number\", " + schema[1..]);
        Accepts(all, valid.Split(' '));
        Rejects(all, invalid.Split(' '));
    }

    [Fact]
    public void Random_limits_hold_for_random_numbers()
    {
        var random = new Random(3);
        for (int round = 0; round < 60; round++)
        {
            decimal low = Number(), high = Number();
            TokenConstraint range = Schema(FormattableString.Invariant(
                $$"""{"type": "number", "minimum": {{low}}, "exclusiveMaximum": {{high}}}"""),
                low < high)?.Compile(Bytes)!;
            if (range is null) continue;
            for (int i = 0; i < 50; i++)
            {
                decimal value = i switch { 0 => low, 1 => high, _ => Number() };
                string text = value.ToString(System.Globalization.CultureInfo.InvariantCulture);
                Assert.True((value >= low && value < high) == range.Accepts(text), $"{low} <= {text} < {high}");
            }
        }

        decimal Number() => new(random.Next(0, random.Next(2) == 0 ? 100 : 100_000), 0, 0, random.Next(2) == 0,
            (byte)random.Next(0, 4));

        static TextConstraint? Schema(string schema, bool isPossible) =>
            isPossible ? ConstraintCases.Schema(schema) : null;
    }

    [Fact]
    public void Strings_have_patterns_lengths_and_formats()
    {
        Accepts(Schema("""{"type": "string", "pattern": "b+$", "minLength": 2, "maxLength": 4}"""),
            "\"ab\"", "\"aéab\"", "\"\\u0061\\u0062\"", "\"\\\"b\"");
        Rejects(Schema("""{"type": "string", "pattern": "b+$", "minLength": 2, "maxLength": 4}"""),
            "\"b\"", "\"ba\"", "\"aaaab\"", "\"\\u0062\"", "ab");
        Accepts(Schema("""{"type": "string", "format": "date"}"""), "\"2024-02-29\"", "\"1999-12-31\"");
        Rejects(Schema("""{"type": "string", "format": "date"}"""),
            "\"2023-02-29\"", "\"1999-13-01\"", "\"1900-02-29\"");
        Accepts(Schema("""{"type": "string", "format": "uuid", "pattern": "^a"}"""),
            "\"abcdef01-2345-6789-abcd-ef0123456789\"");
    }

    [Fact]
    public void Arrays_have_prefixes_and_counts()
    {
        TextConstraint pair = Schema("""
            {"type": "array", "prefixItems": [{"type": "integer"}, {"const": "x"}], "items": {"type": "null"},
             "minItems": 1, "maxItems": 4}
            """);
        Accepts(pair, "[1]", """[1, "x"]""", """[1,"x",null, null]""");
        Rejects(pair, "[]", """["x"]""", """[1, "y"]""", """[1, "x", null, null, null]""", """[1, "x", 2]""", "[1,]");
        TextConstraint many = Schema("""{"type": "array", "items": {"enum": [1, 2]}, "minItems": 2}""");
        Accepts(many, "[1, 2]", "[1,1,2]");
        Rejects(many, "[]", "[1]", "[1, 3]");
    }

    [Fact]
    public void Schemas_refer_to_themselves()
    {
        TextConstraint tree = Schema("""
            {"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "object", "properties": {"value": {"type": "integer"},
             "children": {"type": "array", "items": {"$ref": "#t"}}}, "required": ["value"],
             "additionalProperties": false, "$anchor": "t"}}}
            """);
        Accepts(tree, """{"value":1,"children":[{"value":2},{"value":3,"children":[]}]}""");
        Rejects(tree, """{"value":1,"children":[{}]}""", """{"value":1,"children":[1]}""");
    }

    [Fact]
    public void Names_of_other_properties_differ_from_the_declared_ones()
    {
        TextConstraint schema = Schema("""
            {"type": "object", "properties": {"a": {"type": "integer"}}, "patternProperties": {"^x": {"type": "null"}},
             "additionalProperties": {"type": "string"}}
            """);
        Accepts(schema, "{}", """{"a":1}""", """{"x1":null}""", """{"a":1,"b":"c","xy":null}""", """{"aa":""}""");
        Rejects(schema, """{"b":"","a":1}""", """{"a":""}""", """{"\u0061":""}""", """{"x":""}""", """{"b":null}""");
        Accepts(Schema("""{"type": "object", "propertyNames": {"pattern": "^[a-c]$"}, "maxProperties": 2}"""),
            """{"a":1,"b":2}""");
        Rejects(Schema("""{"type": "object", "propertyNames": {"pattern": "^[a-c]$"}, "maxProperties": 2}"""),
            """{"d":1}""", """{"a":1,"b":2,"c":3}""");
    }

    [Fact]
    public void Conditions_of_several_schemas_hold_together()
    {
        TextConstraint merged = Schema("""
            {"allOf": [{"type": "object", "properties": {"a": {"type": ["integer", "string"]}}, "required": ["a"]},
              {"properties": {"a": {"minimum": 3, "minLength": 2}, "b": true}, "additionalProperties": {"type": "null"}}],
             "properties": {"c": {"enum": [null, 1]}}}
            """);
        Accepts(merged, """{"a":3,"b":[],"c":null,"d":null}""", """{"a":"xy"}""");
        Rejects(merged, """{"a":2}""", """{"a":"x"}""", """{"a":3,"c":1}""", """{"a":3,"d":1}""", "{}");
    }

    [Fact]
    public void Exactly_one_is_any_where_alternatives_exclude_each_other()
    {
        TextConstraint shapes = Schema("""
            {"oneOf": [{"type": "object", "properties": {"kind": {"const": "circle"}, "r": {"type": "number"}},
               "required": ["kind", "r"], "additionalProperties": false},
              {"type": "object", "properties": {"kind": {"const": "square"}, "w": {"type": "number"}},
               "required": ["kind", "w"], "additionalProperties": false}, {"type": "null"}]}
            """);
        Accepts(shapes, """{"kind":"circle","r":1}""", """{"kind":"square","w":2}""", "null");
        Rejects(shapes, """{"kind":"circle","w":1}""", """{"kind":"square","r":2}""");
    }

    [Fact]
    public void Values_are_those_that_fit_the_other_conditions()
    {
        TextConstraint schema = Schema("""
            {"enum": [1, 2.50, "a", "abc", null, {"b": [1, {}]}, {"b": 2}, "é\n"],
             "maxLength": 2, "maximum": 2, "properties": {"b": {"type": "array"}}}
            """);
        Accepts(schema, "1", "\"a\"", "null", """{"b": [1,{}]}""", "\"é\\n\"");
        Rejects(schema, "2.5", "2.50", "\"abc\"", """{"b":2}""", "2", "");
        Accepts(Schema("""{"const": 2.50}"""), "2.50", "2.5");
    }

    [Theory]
    [InlineData("""{"properties": {"a/b": {"not": {}}}}""", "#/properties/a~1b/not: is not supported")]
    [InlineData("""{"type": "strin"}""", "#/type: expected null, boolean")]
    [InlineData("""{"items": {"uniqueItems": true}}""", "#/items/uniqueItems: is not supported")]
    [InlineData("""{"frob": 1}""", "#/frob: is not supported. Supported are $anchor, $defs, ")]
    [InlineData("""{"if": {}, "then": {}}""", "#/if: is not supported; use anyOf")]
    [InlineData("""{"$ref": "#"}""", "#: refers to itself without a property")]
    [InlineData("""{"anyOf": [{"$ref": "#/anyOf/0"}]}""", "#/anyOf/0: refers to itself")]
    [InlineData("""{"$ref": "#/$defs/x"}""", "#/$ref: \"#/$defs/x\" is not in the schema")]
    [InlineData("""{"$ref": "http://127.0.0.1/x"}""", "is outside of the schema")]
    [InlineData("""{"properties": {"a": {"pattern": "(?=x)"}}}""", "#/properties/a/pattern: \"(?=x)\" cannot be used")]
    [InlineData("""{"oneOf": [{"type": "number"}, {"type": "integer"}]}""", "#/oneOf: alternatives 0 and 1 may both")]
    [InlineData("""{"minProperties": 3}""", "#/minProperties: is 3, and 0 properties are declared")]
    [InlineData("""{"format": "iri"}""", "#/format: \"iri\" is not supported; expected date, time")]
    [InlineData("""{"minLength": -1}""", "#/minLength: expected a whole number")]
    [InlineData("""{"multipleOf": 0}""", "#/multipleOf: expected a number above zero")]
    [InlineData("""{"required": "a"}""", "#/required: expected a list of names")]
    [InlineData("""{"properties": [1]}""", "#/properties: expected an object of schemas")]
    [InlineData("""{"anyOf": []}""", "#/anyOf: expected a list of schemas")]
    [InlineData("""{"items": 7}""", "#/items: expected a schema")]
    [InlineData("false", "allows no value")]
    [InlineData("""{"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}""", "allows no value")]
    [InlineData("""{"type": "string", "minLength": 3, "maxLength": 2}""", "allows no value")]
    [InlineData("""{"type": "string", "pattern": "^a", "maxLength": 50000}""", "counts more than 20000 characters")]
    public void A_schema_that_cannot_be_used_is_refused_by_path(string schema, string expected) =>
        Assert.Contains(expected, Refusal(() => Schema(schema)), StringComparison.Ordinal);

    [Fact]
    public void All_problems_are_reported_at_once()
    {
        string message = Refusal(() => Schema(
            """{"properties": {"a": {"not": {}}, "b": {"format": "x"}}, "uniqueItems": true}"""));
        Assert.All(["#/properties/a/not", "#/properties/b/format", "#/uniqueItems"],
            path => Assert.Contains(path, message, StringComparison.Ordinal));
    }

    [Fact]
    public void Large_schemas_are_refused_before_they_take_long()
    {
        string[] schemas =
        [
            "{\"enum\": [" + string.Join(',', Enumerable.Range(0, 120_000)) + "]}",
            "{\"allOf\": [" + string.Join(',', Enumerable.Range(0, 12).Select(
                i => "{\"anyOf\": [{\"minimum\": " + i + "}, {\"maximum\": 1}]}")) + "]}",
            "{\"patternProperties\": {" + string.Join(',', Enumerable.Range(0, 20).Select(
                i => "\"" + (char)('a' + i) + "\": true")) + "}}",
        ];
        Assert.All(schemas, schema => Assert.Throws<InputException>(() => Schema(schema)));
        string many = string.Join(',', Enumerable.Range(0, 3000).Select(
            i => $"\"p{i}\": {{\"type\": \"string\", \"pattern\": \"^(a|b)*a(a|b){{8}}{i}$\"}}"));
        Assert.Contains("takes too long to compile", Refusal(() => Schema($"{{\"properties\": {{{many}}}}}")),
            StringComparison.Ordinal);
        string chain = string.Join(',', Enumerable.Range(0, 5000).Select(
            i => $"\"d{i}\": {{\"$ref\": \"#/$defs/d{i + 1}\"}}"));
        Assert.Contains("more than 200 schemas", Refusal(
            () => Schema($"{{\"$ref\": \"#/$defs/d0\", \"$defs\": {{{chain}}}}}")), StringComparison.Ordinal);
        var options = new JsonDocumentOptions { MaxDepth = 100_000 };
        string deep = string.Concat(Enumerable.Repeat("{\"items\":", 20_000)) + "{}" + new string('}', 20_000);
        using var document = JsonDocument.Parse(deep, options);
        Assert.Contains("more than 100 deep", Refusal(() => TextConstraint.JsonSchema(document.RootElement)),
            StringComparison.Ordinal);
    }

    [Fact]
    public void Annotations_and_extensions_say_nothing_about_values() =>
        Accepts(Schema("""
            {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "http://x/y", "title": "t",
             "description": "d", "default": 1, "examples": [1], "$comment": "c", "x-order": 3, "deprecated": true,
             "type": "boolean", "uniqueItems": false}
            """), "true");
}
