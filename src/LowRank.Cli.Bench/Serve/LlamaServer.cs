using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Cli.Bench.Generate;
using LowRank.Data;
using LowRank.Models;

namespace LowRank.Cli.Bench.Serve;

/// <summary>llama.cpp's llama-server on GGUF files of the measured shape with random weights: as many requests at once
/// as there are adapters, each with another one, then all with the base alone.</summary>
/// <remarks>A slot for each request; everything else is left as llama.cpp has it by default, such as keys and values in
/// 16 bits, except that no prompt is remembered. It is started anew for each round, so that it takes no processor while
/// others are measured.</remarks>
internal sealed class LlamaServer : IDisposable
{
    private static readonly TimeSpan StartsWithin = TimeSpan.FromSeconds(60);

    private readonly string program;
    private readonly string folder = Directory.CreateTempSubdirectory("lowrank-gguf-").FullName;
    private readonly ServeOptions options;
    private readonly int threads;
    private readonly Dictionary<string, Rounds> formats = [];
    private readonly StableRandom random = new(GenerateBench.Seed);
    private int vocabulary;

    private LlamaServer(string program, ServeOptions options, int threads) =>
        (this.program, this.options, this.threads) = (program, options, threads);

    /// <summary>Writes a file for each format that llama.cpp knows, and one for each adapter.</summary>
    public static LlamaServer Prepare(
        string program, ServeFolder served, IReadOnlyList<string> formats, ServeOptions options, int threads)
    {
        var server = new LlamaServer(program, options, threads);
        try
        {
            JsonObject config = ConfigReader.Open(Path.Combine(served.Path, "config.json")).Root;
            server.vocabulary = config["vocab_size"]!.GetValue<int>();
            foreach (string format in formats.Where(GgufType.ByFormat.ContainsKey))
            {
                GgufFile.Write(server.PathOf(format), config, GgufType.ByFormat[format], hasVocabulary: true);
                server.formats[format] = new Rounds([], []);
            }
            foreach (int adapter in Enumerable.Range(0, options.Adapters))
                GgufFile.WriteAdapter(server.AdapterPath(adapter), config, served.Modules, options.Rank);
            return server;
        }
        catch
        {
            server.Dispose();
            throw;
        }
    }

    /// <summary>Measures a format once; nothing for one that llama.cpp does not know.</summary>
    /// <exception cref="InputException">The program did not serve.</exception>
    public void Round(string format)
    {
        if (!formats.TryGetValue(format, out Rounds? rounds)) return;
        int port = FreePort();
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(program, Arguments(format, port))
                { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true })
                ?? throw new InputException($"--llama-server is {program}, which did not start.");
            try
            {
                process.OutputDataReceived += (_, _) => { }; // a full pipe would stop the process
                process.ErrorDataReceived += (_, _) => { };
                process.BeginOutputReadLine();
                process.BeginErrorReadLine();
                Measure(process, port, rounds).GetAwaiter().GetResult();
            }
            finally
            {
                process.Kill(entireProcessTree: true);
                process.WaitForExit();
            }
        }
        catch (Exception e) when (e is Win32Exception or HttpRequestException or JsonException)
        {
            throw new InputException($"--llama-server is {program}, which did not serve: {e.Message}", e);
        }
    }

    /// <summary>What the rounds found; null for a format that llama.cpp does not know.</summary>
    public LlamaServerResult? Found(string format) => formats.TryGetValue(format, out Rounds? rounds)
        ? new LlamaServerResult(GgufType.ByFormat[format].Name, rounds.Mixed, rounds.Plain) : null;

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(folder, recursive: true);

    private string PathOf(string format) => Path.Combine(folder, format + ".gguf");

    private string AdapterPath(int adapter) =>
        Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"adapter-{adapter}.gguf"));

    private string[] Arguments(string format, int port)
    {
        string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
        return
        [
            "-m", PathOf(format), "-t", Number(threads), "-np", Number(options.Adapters), "-c",
            Number(options.Adapters * (options.Prompt + options.New + 1)), "--port", Number(port), "--no-webui",
            "--lora", string.Join(',', Enumerable.Range(0, options.Adapters).Select(AdapterPath)),
            "--lora-init-without-apply",
        ];
    }

    private async Task Measure(Process process, int port, Rounds rounds)
    {
        using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}/"),
            Timeout = TimeSpan.FromMinutes(3) };
        await Ready(process, client).ConfigureAwait(false);
        await Write(client, null, 2).ConfigureAwait(false); // untimed
        rounds.Mixed.Add(await Together(client, adapter => adapter).ConfigureAwait(false));
        rounds.Plain.Add(await Together(client, _ => null).ConfigureAwait(false));
    }

    private static async Task Ready(Process process, HttpClient client)
    {
        long started = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                using HttpResponseMessage health = await client.GetAsync(new Uri("health", UriKind.Relative))
                    .ConfigureAwait(false);
                if (health.IsSuccessStatusCode) return;
            }
            catch (HttpRequestException) when (!process.HasExited && Stopwatch.GetElapsedTime(started) < StartsWithin)
            {
                // It does not listen yet.
            }
            if (process.HasExited || Stopwatch.GetElapsedTime(started) > StartsWithin)
                throw new HttpRequestException("it is not ready");
            await Task.Delay(50).ConfigureAwait(false);
        }
    }

    private async Task<TokenTimes> Together(HttpClient client, Func<int, int?> adapterOf)
    {
        long started = Stopwatch.GetTimestamp();
        List<long>[] texts = await Task.WhenAll(Enumerable.Range(0, options.Adapters)
            .Select(text => Write(client, adapterOf(text), options.New))).ConfigureAwait(false);
        return TokenTimes.Of(started, texts);
    }

    // When the tokens of a text came: it sends an event for each.
    private async Task<List<long>> Write(HttpClient client, int? adapter, int tokens)
    {
        var body = new JsonObject
        {
            ["prompt"] = new JsonArray([.. Enumerable.Range(0, options.Prompt)
                .Select(_ => (JsonNode)random.Below(vocabulary))]),
            ["n_predict"] = tokens, ["temperature"] = 0, ["ignore_eos"] = true, ["cache_prompt"] = false,
            ["stream"] = true,
            ["lora"] = adapter is { } id ? new JsonArray(new JsonObject { ["id"] = id, ["scale"] = 1.0 }) : [],
        };
        using var request = new HttpRequestMessage(HttpMethod.Post, "completion")
            { Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json") };
        using HttpResponseMessage response = await client
            .SendAsync(request, HttpCompletionOption.ResponseHeadersRead).ConfigureAwait(false);
        if (!response.IsSuccessStatusCode)
            throw new HttpRequestException(await response.Content.ReadAsStringAsync().ConfigureAwait(false));
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync().ConfigureAwait(false));
        List<long> times = [];
        while (await reader.ReadLineAsync().ConfigureAwait(false) is { } line)
        {
            if (!line.StartsWith("data: {", StringComparison.Ordinal)) continue;
            long now = Stopwatch.GetTimestamp();
            if (JsonNode.Parse(line["data: ".Length..])?["stop"]?.GetValue<bool>() != true) times.Add(now);
        }
        return times.Count > 0 ? times : throw new HttpRequestException("it sent no tokens");
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private sealed record Rounds(List<TokenTimes> Mixed, List<TokenTimes> Plain);
}

/// <summary>What llama-server reached in each round.</summary>
/// <param name="Type">The type of the weights, as GGUF names it.</param>
/// <param name="Mixed">Texts with different adapters.</param>
/// <param name="Plain">As many with the base alone.</param>
internal sealed record LlamaServerResult(
    string Type, IReadOnlyList<TokenTimes> Mixed, IReadOnlyList<TokenTimes> Plain);
