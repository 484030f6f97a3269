using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Server.Requests;

namespace LowRank.Server.Writing;

/// <summary>Which tools may or have to be called.</summary>
/// <param name="Kind">Which.</param>
/// <param name="Name">The tool, where one has to be called.</param>
internal sealed record ToolChoice(ToolChoiceKind Kind, string? Name = null)
{
    public static ToolChoice Auto { get; } = new(ToolChoiceKind.Auto);
}

/// <summary>What a client says of calls.</summary>
internal enum ToolChoiceKind
{
    /// <summary>The model decides.</summary>
    Auto,

    /// <summary>None is called; the model does not see the tools.</summary>
    None,

    /// <summary>One at least is called.</summary>
    Required,

    /// <summary>This one is called.</summary>
    Named,
}

/// <summary>Reads the tools of a request.</summary>
internal static class ToolFields
{
    /// <summary>The tools in the form of OpenAI's chat completions; null for none.</summary>
    /// <param name="fields">The request.</param>
    /// <param name="limits">How many there may be, and how large.</param>
    /// <param name="isFlat">Whether name and parameters stand beside the type, as in OpenAI's Responses.</param>
    public static JsonArray? Read(RequestFields fields, RequestLimits limits, bool isFlat)
    {
        if (fields.Objects("tools", limits.Tools) is not { Count: > 0 } tools) return null;
        JsonArray read = [];
        long size = 0;
        foreach (RequestFields tool in tools)
        {
            tool.Require("type");
            if (tool.Word("type", "function") is null) continue; // said already
            RequestFields? function = isFlat ? tool : tool.Object("function");
            if (!isFlat) tool.Require("function");
            if (function is null) continue;
            size += function.Element.GetRawText().Length;
            read.Add((JsonNode?)new JsonObject { ["type"] = "function", ["function"] = Function(function) });
            function.RefuseOthers();
            if (!isFlat) tool.RefuseOthers();
        }
        if (size > limits.SchemaBytes)
            fields.Problem("tools", FormattableString.Invariant($"are longer than {limits.SchemaBytes} bytes"),
                "too_long");
        return read;
    }

    /// <summary>Reads <c>tool_choice</c>: a word, or the tool to call.</summary>
    public static ToolChoice ReadChoice(RequestFields fields, JsonArray? tools, bool isFlat)
    {
        ToolChoice choice = ToolChoice.Auto;
        if (fields.Any("tool_choice") is not { } given) return choice;
        if (given.ValueKind == JsonValueKind.String)
            choice = new ToolChoice(fields.Word("tool_choice", "none", "auto", "required") switch
            {
                "none" => ToolChoiceKind.None, "required" => ToolChoiceKind.Required, _ => ToolChoiceKind.Auto,
            });
        else if (fields.Object("tool_choice") is { } named)
        {
            named.Require("type");
            named.Word("type", "function");
            RequestFields? function = isFlat ? named : named.Object("function");
            function?.Require("name");
            string? name = function?.Text("name");
            function?.RefuseOthers();
            if (!isFlat) named.RefuseOthers();
            choice = new ToolChoice(ToolChoiceKind.Named, name);
            if (name is not null && Names(tools).All(tool => tool != name))
                fields.Problem("tool_choice", $"names {RequestFields.Shortened(name)}, which is not one of the tools");
        }
        if (tools is null && choice.Kind is ToolChoiceKind.Required or ToolChoiceKind.Named)
            fields.Problem("tool_choice", "needs `tools`");
        return choice;
    }

    private static IEnumerable<string?> Names(JsonArray? tools) =>
        (tools ?? []).Select(tool => tool!["function"]!["name"]?.GetValue<string>());

    private static JsonObject Function(RequestFields given)
    {
        var function = new JsonObject { ["name"] = given.RequiredText("name") };
        if (given.Text("description") is { } description) function["description"] = description;
        if (given.Object("parameters") is { } parameters)
            function["parameters"] = JsonNode.Parse(parameters.Element.GetRawText());
        if (given.Flag("strict") is { } strict) function["strict"] = strict;
        return function;
    }
}
