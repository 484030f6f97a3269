using System.CommandLine;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Cli.Chat;
using LowRank.Cli.Common;
using LowRank.Data.Chat;
using LowRank.Generation;
using LowRank.Tokenizers;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank chat</c>.</summary>
internal sealed class ChatCommand : ICliCommand
{
    private readonly Option<string?> system = new("--system")
    {
        Description = "System message before the conversation.",
    };
    private readonly Option<string?> tools = new("--tools")
    {
        Description = "JSON file with a list of tools to pass to the chat template.",
    };
    private readonly SamplingOptions sampling = new(
        512, "Maximum number of tokens per reply.",
        "Random seed for sampling; each turn derives its own seed from it.");

    public string Example => "lowrank chat --model models/base --system \"Answer briefly.\"";

    public Command Build()
    {
        var command = new Command("chat",
            "Chat with a model, one line per turn, using its own chat template. Type /help in the conversation for " +
            "its commands.")
            { system, tools };
        sampling.AddTo(command);
        ModelOptions model = new ModelOptions().AddTo(command);
        return command.Does(
            parsed => Chat(model, parsed),
            [OptionUse.Always(system, tools), .. sampling.Uses, .. model.Uses]);
    }

    private int Chat(ModelOptions model, ParseResult parsed)
    {
        GenerationOptions options = sampling.Read(parsed);
        JsonArray? callable = parsed.GetValue(tools) is { } file ? ReadTools(file) : null;
        using OpenedModel opened = model.Open(parsed);
        Tokenizer tokenizer = opened.RequireTokenizer(talks: true);
        IChatFormat format = ChatFormats.ForTalking(tokenizer);
        Console.Error.WriteLine(tokenizer.ChatTemplates.Count == 0
            ? "Template: ChatML, because the model has no template and its tokenizer knows ChatML's tokens."
            : $"Template: {tokenizer.ChatTemplatePlace ?? "the model's own"}.");
        int? endOfTurn = EndOfTurn(format, tokenizer);
        options = options with
        {
            StopTokenIds = [.. opened.Model.Generation.StopTokens(tokenizer)
                .Concat(endOfTurn is { } end ? [end] : []).Distinct()],
        };
        if (options.StopTokenIds.Count == 0)
            Console.Error.WriteLine(
                "warning: no token ends a reply, because neither the model's configuration nor its template names " +
                $"one. Each reply ends after {options.MaxNewTokens} tokens.");
        if (callable is not null) CheckTools(format, callable, parsed.GetValue(system));

        using var conversation =
            new Conversation(opened.Model.Decoder, tokenizer, format, callable) { System = parsed.GetValue(system) };
        using var interrupt = new ReplyInterrupt();
        bool fromTerminal = !Console.IsInputRedirected, prompts = fromTerminal && !Console.IsOutputRedirected;
        if (prompts) Console.Error.WriteLine("Type /help for the commands, /exit to quit.");
        using TextReader? piped = fromTerminal ? null : new StreamReader(Console.OpenStandardInput(), Encoding.UTF8);
        int failed = new ChatLoop(
            conversation, options, piped ?? Console.In, Console.Out, Console.Error, prompts, interrupt).Run();
        // tells a script that a turn got no reply
        return failed == 0 || fromTerminal ? ExitCodes.Success : ExitCodes.BadInput;
    }

    private static int? EndOfTurn(IChatFormat format, Tokenizer tokenizer)
    {
        try
        {
            return ChatFormats.EndOfTurn(format, tokenizer);
        }
        catch (InputException refusal)
        {
            Console.Error.WriteLine(
                "warning: the template cannot render one question with one answer, so it does not show what ends a " +
                $"turn: {refusal.Message}");
            return null;
        }
    }

    private static void CheckTools(IChatFormat format, JsonArray callable, string? told)
    {
        JsonArray question = told is null ? [] : [ChatFormats.Message("system", told)];
        question.Add(ChatFormats.Message("user", "?"));
        if (format.RenderPrompt(question, callable) == format.RenderPrompt(question, null))
            Console.Error.WriteLine(
                "warning: the chat template ignores tools; the model will not see those in --tools.");
    }

    private static JsonArray ReadTools(string file)
    {
        if (!File.Exists(file))
            throw new InputException(
                $"--tools is {file}, but there is no such file; expected a JSON file with a list of tools.");
        try
        {
            return JsonNode.Parse(SmallFile.ReadText(file)) is JsonArray list && list.All(tool => tool is JsonObject)
                ? list
                : throw new InputException(
                    $"{file} does not hold a JSON list of tools, as in [{{\"type\": \"function\", \"function\": " +
                    "{\"name\": …}}].");
        }
        catch (JsonException e)
        {
            throw new InputException($"{file} is not valid JSON: {e.Message}", e);
        }
    }
}
