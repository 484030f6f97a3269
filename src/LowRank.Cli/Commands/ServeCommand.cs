using System.CommandLine;
using LowRank.Adapters;
using LowRank.Cli.Common;
using LowRank.Cli.Views;
using LowRank.Hub;
using LowRank.IO;
using LowRank.Server;
using LowRank.Serving;
using Microsoft.Extensions.Logging;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank serve</c>.</summary>
internal sealed class ServeCommand : ICliCommand
{
    private readonly Option<string[]> adapter = new("--adapter")
    {
        Description =
            "NAME=FOLDER: a PEFT adapter (a folder, or a name on the Hub) and the name by which requests ask for it. " +
            "May be repeated.",
        DefaultValueFactory = _ => [],
    };
    private readonly Option<string?> modelName = new("--model-name")
    {
        Description = "The name by which requests ask for the base alone. Default: the last part of --model.",
    };
    private readonly Option<string> host = new("--host")
    {
        Description =
            "The address to listen on: an IP address, localhost, or * for all of the machine's. With one that other " +
            "machines reach, give --api-key-file.",
        DefaultValueFactory = _ => "127.0.0.1",
    };
    private readonly Option<int> port = new("--port")
    {
        Description = "The port to listen on; 0 takes one that is free.",
        DefaultValueFactory = _ => 8080,
    };
    private readonly Option<string?> keyFile = new("--api-key-file")
    {
        Description = "File with one key per line; each request has to show one of them. Default: no key is needed.",
    };
    private readonly Option<string[]> origins = new("--cors-origin")
    {
        Description =
            "Origin whose web pages may call the server, such as https://example.org; * for any. May be repeated.",
        DefaultValueFactory = _ => [],
    };
    private readonly Option<string?> adapterRoot = new("--adapter-root")
    {
        Description = "The folder below which requests may load adapters.",
    };
    private readonly Option<bool> allowLoading = new("--allow-adapter-loading")
    {
        Description = "Let requests load and unload adapters while the server runs.",
    };
    private readonly Option<bool> logPrompts = new("--log-prompts")
    {
        Description = "Log the prompts, too. Without this option, no part of a prompt or an answer is logged.",
    };
    private readonly EngineOptions engine = new();

    public string Example => "lowrank serve --model models/base --adapter hotels=runs/quickstart/adapter";

    public Command Build()
    {
        var command = new Command("serve",
            "Serve a model and its adapters over HTTP, with the APIs of OpenAI and Ollama. Each request names its " +
            "adapter; requests for different adapters are computed together.");
        ModelOptions model = new ModelOptions().AddBaseTo(command);
        foreach (Option option in (Option[])[adapter, modelName, host, port, keyFile, origins, adapterRoot,
            allowLoading, logPrompts])
            command.Add(option);
        engine.AddTo(command);
        return command.Does(parsed => Serve(model, parsed),
        [
            .. model.UsesOfBase, .. engine.Uses,
            OptionUse.Always(adapter, modelName, host, port, keyFile, origins, allowLoading, logPrompts),
            OptionUse.With(allowLoading, adapterRoot), OptionUse.Rule(Problems),
        ]);
    }

    private IEnumerable<string> Problems(ParseResult parsed)
    {
        foreach (string given in parsed.GetValue(adapter) ?? [])
            if (AdapterProblem(given) is { } problem) yield return problem;
        if (parsed.GetValue(port) is < 0 or > 65535)
            yield return $"--port is {parsed.GetValue(port)}, expected 0 to 65535";
        if (parsed.GetValue(keyFile) is { } file && !File.Exists(file))
            yield return $"--api-key-file is {file}, but there is no such file";
        if (parsed.GetValue(allowLoading) && parsed.GetValue(adapterRoot) is null)
            yield return "--allow-adapter-loading needs --adapter-root, the folder below which adapters may lie";
        if (parsed.GetValue(adapterRoot) is { } root && !Directory.Exists(root))
            yield return $"--adapter-root is {root}, but there is no such folder";
    }

    private static string? AdapterProblem(string given) => given.Split('=', 2) switch
    {
        [{ Length: > 0 }, { Length: > 0 } folder] => Directory.Exists(folder)
            || HubRepository.TryParse(folder) is not null ? null
            : $"--adapter is {given}, but there is no folder {folder}",
        _ => $"--adapter is {given}, expected NAME=FOLDER",
    };

    private int Serve(ModelOptions model, ParseResult parsed)
    {
        using var stop = new StopSignals("finishing the requests under way, and taking no more");
        var logger = new JsonLineLogger(Console.Error, parsed.GetValue(logPrompts));
        ServerOptions options = Options(model, parsed, logger);
        return Run(options, stop).GetAwaiter().GetResult();
    }

    private static async Task<int> Run(ServerOptions options, StopSignals stop)
    {
        await using LowRankServer server = await LowRankServer.StartAsync(options, CancellationToken.None);
        Console.WriteLine($"Loading {options.Model}; listening on {server.Address}");
        var stopped = new TaskCompletionSource();
        await using (stop.Token.Register(() => stopped.TrySetResult()))
        {
            if (await Task.WhenAny(server.Loading, stopped.Task) == server.Loading)
            {
                await server.Loading; // says why the model cannot be used
                Tell(options, server.Address);
                await stopped.Task;
            }
            await server.StopAsync(CancellationToken.None);
        }
        return ExitCodes.Success;
    }

    private static void Tell(ServerOptions options, Uri address)
    {
        string name = options.Adapters.Count > 0 ? options.Adapters[0].Name
            : options.ModelName ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(options.Model));
        string key = options.ApiKeys.Count > 0 ? " -H \"Authorization: Bearer $KEY\"" : "";
        Console.WriteLine($"Ready. Try:\n\n  curl {address}v1/models{key}\n  curl {address}v1/completions{key} -H " +
            "'Content-Type: application/json' \\\n    -d '{\"model\": \"" + name + "\", \"prompt\": " +
            "\"name: The Red Fox | type: inn | area: old town\\n\", \"max_tokens\": 60, \"temperature\": 0}'\n");
    }

    private ServerOptions Options(ModelOptions model, ParseResult parsed, ILogger logger)
    {
        NamedAdapter Named(string given)
        {
            string[] parts = given.Split('=', 2);
            return new NamedAdapter(parts[0], HubFolder.Open(
                EmbeddedFiles.Resolve(parts[1]), HubSelection.Adapter, progress: new DownloadProgress()));
        }
        return new ServerOptions(model.Given(parsed))
        {
            ModelName = parsed.GetValue(modelName),
            Adapters = [.. parsed.GetRequiredValue(adapter).Select(Named)],
            Host = parsed.GetRequiredValue(host),
            Port = parsed.GetValue(port),
            ApiKeys = parsed.GetValue(keyFile) is { } file ? Keys(file) : [],
            CorsOrigins = parsed.GetRequiredValue(origins),
            AdapterRoot = parsed.GetValue(adapterRoot),
            AllowAdapterLoading = parsed.GetValue(allowLoading),
            Opening = model.Opening(parsed) with { Logger = logger },
            Serving = engine.Read(parsed),
            LogPrompts = parsed.GetValue(logPrompts),
            Logger = logger,
        };
    }

    private static string[] Keys(string file)
    {
        string[] keys = [.. SmallFile.ReadText(file).Split('\n').Select(line => line.Trim())
            .Where(line => line.Length > 0 && !line.StartsWith('#'))];
        if (keys.Length == 0) throw new InputException($"--api-key-file {file} has no key; expected one per line.");
        return keys;
    }
}
