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
    private readonly Option<int> maxNewTokens = new("--max-new-tokens")
    {
        Description = "Maximum number of tokens per reply.",
        DefaultValueFactory = _ => 512,
    };
    private readonly Option<double> temperature = new("--temperature")
    {
        Description = "0 always takes the most likely token; higher values give more variety.",
        DefaultValueFactory = _ => 0,
    };
    private readonly Option<int> topK = new("--top-k")
    {
        Description = "Sample from this many most likely tokens; 0 for all.",
        DefaultValueFactory = _ => 0,
    };
    private readonly Option<double> topP = new("--top-p")
    {
        Description = "Sample from the most likely tokens whose probabilities add up to this value; 1 for all.",
        DefaultValueFactory = _ => 1,
    };
    private readonly Option<long> seed = new("--seed")
    {
        Description = "Random seed for sampling; each turn derives its own seed from it.",
        DefaultValueFactory = _ => 42,
    };

    public string Example => "lowrank chat --model models/base --system \"Answer briefly.\"";

    public Command Build()
    {
        var command = new Command("chat",
            "Chat with a model, one line per turn, using its own chat template. Type /help in the conversation for " +
            "its commands.")
            { system, tools, maxNewTokens, temperature, topK, topP, seed };
        ModelOptions model = new ModelOptions().AddTo(command);
        return command.Does(
            parsed => Chat(model, parsed),
            [OptionUse.Always(system, tools), .. SamplingUses.Of(Options, maxNewTokens, temperature, topK, topP, seed),
            .. model.Uses]);
    }

    private GenerationOptions Options(ParseResult parsed) => new()
    {
        MaxNewTokens = parsed.GetValue(maxNewTokens),
        Temperature = parsed.GetValue(temperature),
        TopK = parsed.GetValue(topK),
        TopP = parsed.GetValue(topP),
        Seed = parsed.GetValue(seed),
    };

    private int Chat(ModelOptions model, ParseResult parsed)
    {
        GenerationOptions options = Options(parsed);
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
