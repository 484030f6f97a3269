using System.Text;
using System.Text.Json.Nodes;
using LowRank.Generation.Replies;
using LowRank.Server.Requests;
using LowRank.Server.Responses;
using LowRank.Server.Writing;
using LowRank.Serving;

namespace LowRank.Server.Routes;

/// <summary>The events of a stream of /v1/responses, numbered in their order.</summary>
/// <param name="events">Where they are sent.</param>
/// <param name="answer">The answer that comes to be.</param>
internal sealed class ResponseEvents(EventStream events, ResponseObject answer)
{
    private readonly StringBuilder text = new();
    private readonly JsonArray scores = [];
    private readonly SpokenTokens spoken = new();
    private JsonObject? open; // the item that goes on
    private int number;

    private int Index => answer.Items.Count;

    private string ItemId => open!["id"]!.GetValue<string>();

    /// <summary>Streams an answer; what goes wrong after it has begun is its last event.</summary>
    public async Task Run(Func<Task> stream)
    {
        try
        {
            await stream().ConfigureAwait(false);
        }
        catch (Exception failure) when (events.Survives)
        {
            ApiException error = events.Log(failure);
            await Send("response.failed", ("response", answer.Failed(error))).ConfigureAwait(false);
        }
    }

    /// <summary>Sends the beginning, once.</summary>
    public async Task Begin()
    {
        if (number > 0) return;
        await Send("response.created", ("response", answer.Begun())).ConfigureAwait(false);
        await Send("response.in_progress", ("response", answer.Begun())).ConfigureAwait(false);
    }

    /// <summary>Sends what is new.</summary>
    /// <inheritdoc cref="SpokenTokens.Of"/>
    public async Task Take(List<ReplyPart> parts, IReadOnlyList<ScoredToken> tokens, bool mayFollow)
    {
        JsonArray shown = answer.Shown(spoken.Of(parts, tokens, mayFollow));
        foreach (ReplyPart part in parts)
            switch (part)
            {
                case ReplyPart.Content words:
                    await AddText(words.Text, shown).ConfigureAwait(false);
                    shown = [];
                    break;
                case ReplyPart.Reasoning thought:
                    await AddThought(thought.Text).ConfigureAwait(false);
                    break;
                case ReplyPart.Call call:
                    await Close("completed").ConfigureAwait(false);
                    await Open(ResponseObject.FunctionCall(
                        Call.NewId("fc_"), "in_progress", call.Id, call.Name, "")).ConfigureAwait(false);
                    break;
                case ReplyPart.Arguments more:
                    text.Append(more.Text);
                    await Send("response.function_call_arguments.delta", ("item_id", ItemId),
                        ("output_index", Index), ("delta", more.Text)).ConfigureAwait(false);
                    break;
            }
    }

    /// <summary>Sends the end.</summary>
    public async Task End(ServingUsage usage, ServedEnd? end)
    {
        await Begin().ConfigureAwait(false);
        if (open is null && Index == 0) await AddText("", []).ConfigureAwait(false);
        await Close(end == ServedEnd.Length ? "incomplete" : "completed").ConfigureAwait(false);
        await Send(end == ServedEnd.Length ? "response.incomplete" : "response.completed",
            ("response", answer.Done(usage, end))).ConfigureAwait(false);
    }

    private async Task AddText(string more, JsonArray shown)
    {
        if (!IsOpen(ResponseObject.MessageType))
            await OpenPart(ResponseObject.Message(Call.NewId("msg_"), "in_progress", []), ResponseObject.Text("", []))
                .ConfigureAwait(false);
        text.Append(more);
        foreach (JsonNode? one in shown) scores.Add(one!.DeepClone());
        if (more.Length > 0)
            await SendPart("response.output_text.delta", ("delta", more), ("logprobs", shown)).ConfigureAwait(false);
    }

    private async Task AddThought(string more)
    {
        if (!IsOpen(ResponseObject.ReasoningType))
            await OpenPart(ResponseObject.Reasoning(Call.NewId("rs_"), "in_progress", []), ResponseObject.Thought(""))
                .ConfigureAwait(false);
        text.Append(more);
        await SendPart("response.reasoning_text.delta", ("delta", more)).ConfigureAwait(false);
    }

    private bool IsOpen(string type) => open?["type"]?.GetValue<string>() == type;

    // An item whose content is one text.
    private async Task OpenPart(JsonObject item, JsonObject part)
    {
        await Close("completed").ConfigureAwait(false);
        await Open(item).ConfigureAwait(false);
        await SendPart("response.content_part.added", ("part", part)).ConfigureAwait(false);
    }

    private async Task Open(JsonObject item)
    {
        open = item;
        text.Clear();
        scores.Clear();
        await Send("response.output_item.added", ("output_index", Index), ("item", item.DeepClone()))
            .ConfigureAwait(false);
    }

    private async Task Close(string status)
    {
        if (open is not { } item) return;
        string whole = text.ToString();
        if (IsOpen(ResponseObject.MessageType))
        {
            await SendPart("response.output_text.done", ("text", whole), ("logprobs", scores.DeepClone()))
                .ConfigureAwait(false);
            await ClosePart(item, ResponseObject.Text(whole, (JsonArray)scores.DeepClone())).ConfigureAwait(false);
        }
        else if (IsOpen(ResponseObject.ReasoningType))
        {
            await SendPart("response.reasoning_text.done", ("text", whole)).ConfigureAwait(false);
            await ClosePart(item, ResponseObject.Thought(whole)).ConfigureAwait(false);
        }
        else
        {
            await Send("response.function_call_arguments.done", ("item_id", ItemId), ("output_index", Index),
                ("name", item["name"]!.DeepClone()), ("arguments", whole)).ConfigureAwait(false);
            item["arguments"] = whole;
        }
        item["status"] = status;
        await Send("response.output_item.done", ("output_index", Index), ("item", item.DeepClone()))
            .ConfigureAwait(false);
        answer.Add(item);
        open = null;
    }

    private async Task ClosePart(JsonObject item, JsonObject part)
    {
        await SendPart("response.content_part.done", ("part", part.DeepClone())).ConfigureAwait(false);
        item["content"] = new JsonArray(part);
    }

    // Of the open item's text.
    private Task SendPart(string type, params ReadOnlySpan<(string Name, JsonNode? Value)> fields) => Send(type,
        [("item_id", ItemId), ("output_index", Index), ("content_index", 0), .. fields]);

    private Task Send(string type, params ReadOnlySpan<(string Name, JsonNode? Value)> fields)
    {
        var sent = new JsonObject { ["type"] = type, ["sequence_number"] = number++ };
        foreach ((string name, JsonNode? value) in fields) sent[name] = value;
        return events.Send(sent, ServerJson.Own.JsonObject, type);
    }
}
