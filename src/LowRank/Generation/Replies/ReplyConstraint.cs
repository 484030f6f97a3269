using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using LowRank.Data;
using LowRank.Data.Chat;

namespace LowRank.Generation.Replies;

/// <summary>Constrains replies in a model's own form: to calls of tools, for requests that require one, and to a text
/// that follows thoughts.</summary>
internal static class ReplyConstraint
{
    // At most two line breaks stand between thoughts and a call.
    private const string LineBreaks = "\n{0,2}", Id = "[A-Za-z0-9]{9}";

    /// <summary>The replies that call tools, in the form in which the template writes calls.</summary>
    /// <param name="convention">How the model writes calls.</param>
    /// <param name="tools">The tools, checked (<see cref="RequestTools"/>).</param>
    /// <param name="name">The only tool that may be called; null for any of them.</param>
    /// <param name="allowsSeveral">Whether a reply may have several calls, if the convention has several.</param>
    /// <exception cref="InputException">There is no tool of this name, or a tool's JSON Schema is not supported; says
    /// where, such as <c>tools[1].function.parameters</c>.</exception>
    public static TextConstraint Calls(ToolConvention convention, JsonArray tools, string? name, bool allowsSeveral)
    {
        TextConstraint[] each =
        [
            .. from tool in tools.Index()
               where name is null || NameOf(tool.Item!) == name
               select Call(convention, tool.Item!, tool.Index),
        ];
        if (each.Length == 0)
            throw new InputException(
                new Problem($"there is no tool {name}; the tools are {string.Join(", ", tools.Select(NameOf))}.")
                { Place = Words.Plain("tool_choice") });
        TextConstraint call = TextConstraint.AnyOf(each);
        TextConstraint calls = allowsSeveral && convention.Between is { } between
            ? TextConstraint.Repeat(call, min: 1, separator: TextConstraint.Text(between)) : call;
        return TextConstraint.Sequence(
            TextConstraint.Text(convention.Opening), calls, TextConstraint.Text(convention.Closing));
    }

    /// <summary>Lets the model think before a constrained text.</summary>
    /// <param name="constraint">The constraint of what follows the thoughts.</param>
    /// <param name="marks">The marks of the model's thoughts.</param>
    /// <param name="areOpen">Whether the prompt ends within thoughts; otherwise the model may go without.</param>
    public static TextConstraint AfterThoughts(TextConstraint constraint, ReasoningMarks marks, bool areOpen)
    {
        // Text without what begins the closing mark, then the mark.
        string first = Regex.Escape(marks.Close[..1]), second = Regex.Escape(marks.Close[1..2]);
        TextConstraint thoughts = TextConstraint.Sequence(
            TextConstraint.Regex($"([^{first}]|{first}+[^{first}{second}])*"), TextConstraint.Text(marks.Close),
            TextConstraint.Regex(LineBreaks));
        if (!areOpen)
            thoughts = TextConstraint.AnyOf(
                TextConstraint.Text(""), TextConstraint.Sequence(TextConstraint.Text(marks.Open), thoughts));
        return TextConstraint.Sequence(thoughts, constraint);
    }

    private static TextConstraint Call(ToolConvention convention, JsonNode tool, int index)
    {
        JsonNode function = tool["function"]!;
        List<TextConstraint> parts = [TextConstraint.Text(convention.BeforeName + NameOf(tool))];
        Add(parts, convention.BeforeArguments);
        parts.Add(Arguments(function["parameters"], $"tools[{index}].function.parameters"));
        Add(parts, convention.AfterArguments);
        return TextConstraint.Sequence(parts);
    }

    private static void Add(List<TextConstraint> parts, CallText text)
    {
        parts.Add(TextConstraint.Text(text.Text));
        if (text.AfterId is not { } rest) return;
        parts.Add(TextConstraint.Regex(Id));
        parts.Add(TextConstraint.Text(rest));
    }

    // Arguments are an object, even where the schema does not say so; a tool without a schema has none.
    private static TextConstraint Arguments(JsonNode? parameters, string place)
    {
        if (parameters is null) return TextConstraint.Text("{}");
        var schema = (JsonObject)parameters.DeepClone();
        if (!schema.ContainsKey("type")) schema["type"] = "object";
        try
        {
            using JsonDocument document = JsonDocument.Parse(schema.ToJsonString());
            return TextConstraint.JsonSchema(document.RootElement.Clone());
        }
        catch (InputException refused)
        {
            throw new InputException(
                new Problem(refused.Message) { Place = Words.Plain(place) }, refused);
        }
    }

    private static string NameOf(JsonNode? tool) => tool!["function"]!["name"]!.GetValue<string>();
}
