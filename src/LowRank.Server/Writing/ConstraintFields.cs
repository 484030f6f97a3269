using System.Text;
using System.Text.Json;
using LowRank.Generation;
using LowRank.Server.Requests;

namespace LowRank.Server.Writing;

/// <summary>What a text has to be: JSON, JSON of a schema, a regular expression, one of several texts. It is compiled
/// before the request is taken; what cannot be compiled is refused with its path.</summary>
internal static class ConstraintFields
{
    /// <summary>Reads OpenAI's <c>response_format</c> and vLLM's <c>structured_outputs</c>.</summary>
    /// <param name="fields">The request.</param>
    /// <param name="limits">How large a schema may be.</param>
    public static TextConstraint? Read(RequestFields fields, RequestLimits limits)
    {
        TextConstraint? format = fields.Object("response_format") is { } given ? OfFormat(given, limits) : null;
        TextConstraint? structured = fields.Object("structured_outputs") is { } own ? OfStructure(own, limits) : null;
        if (format is not null && structured is not null)
            fields.Problem("structured_outputs", "cannot be given with `response_format`");
        return format ?? structured;
    }

    /// <summary>Reads a format of a text: <c>{"type": "text"}</c>, json_object or json_schema.</summary>
    public static TextConstraint? OfFormat(RequestFields format, RequestLimits limits)
    {
        format.Require("type");
        string? type = format.Word("type", "text", "json_object", "json_schema");
        TextConstraint? constraint = type switch
        {
            "json_object" when format.Any("schema") is { } schema => Schema(format, "schema", schema, limits),
            "json_object" => TextConstraint.Json(),
            "json_schema" => OfSchema(format, limits),
            _ => null,
        };
        format.RefuseOthers();
        return constraint;
    }

    /// <summary>Compiles a schema.</summary>
    /// <param name="fields">Where it stands.</param>
    /// <param name="name">Its field.</param>
    /// <param name="schema">The schema.</param>
    /// <param name="limits">How large it may be.</param>
    public static TextConstraint? Schema(RequestFields fields, string name, JsonElement schema, RequestLimits limits)
    {
        if (schema.ValueKind is not (JsonValueKind.Object or JsonValueKind.True))
        {
            fields.Wrong(name, schema, "a JSON schema");
            return null;
        }
        return Compile(fields, name, schema.GetRawText(), limits, () => TextConstraint.JsonSchema(schema));
    }

    // OpenAI has the schema in an object with its name; its Responses have it in the format itself.
    private static TextConstraint? OfSchema(RequestFields format, RequestLimits limits)
    {
        RequestFields inner = format.Object("json_schema") ?? format;
        inner.Text("name");
        inner.Text("description");
        inner.Flag("strict"); // the text is always of the schema
        inner.Require("schema");
        TextConstraint? constraint = inner.Any("schema") is { } schema ? Schema(inner, "schema", schema, limits) : null;
        if (inner != format) inner.RefuseOthers();
        return constraint;
    }

    private static TextConstraint? OfStructure(RequestFields own, RequestLimits limits)
    {
        List<TextConstraint?> found = [];
        if (own.Any("json") is { } schema) found.Add(Schema(own, "json", schema, limits));
        if (own.Flag("json_object") == true) found.Add(TextConstraint.Json());
        if (own.Text("regex") is { } pattern)
            found.Add(Compile(own, "regex", pattern, limits, () => TextConstraint.Regex(pattern)));
        if (own.Texts("choice", limits.Biases) is { } choice)
            found.Add(Compile(own, "choice", string.Concat(choice), limits, () => TextConstraint.Choice(choice)));
        if (found.Count > 1) own.Problem("json", "is one of several constraints; give one");
        own.RefuseOthers();
        return found.FirstOrDefault();
    }

    private static TextConstraint? Compile(RequestFields fields, string name, string text, RequestLimits limits,
        Func<TextConstraint> compile)
    {
        if (Encoding.UTF8.GetByteCount(text) > limits.SchemaBytes)
        {
            fields.Problem(name, FormattableString.Invariant($"is longer than {limits.SchemaBytes} bytes"), "too_long");
            return null;
        }
        try
        {
            return compile();
        }
        catch (InputException refused)
        {
            fields.Problem(name, $"cannot be used: {refused.Message.TrimEnd('.')}", "unsupported_schema");
            return null;
        }
    }
}
