using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Cli.Bench;
using LowRank.Cli.Bench.Generate;
using LowRank.Cli.Bench.Serve;

namespace LowRank.Tools.Tests.Bench;

/// <summary>What <c>lowrank bench serve</c> measures, prints and refuses.</summary>
[Collection("alone")]
public sealed class ServeBenchTests
{
    private static readonly ServeOptions Small = new()
    {
        Shape = "base", Layers = 1, Adapters = 2, Rank = 2, Prompt = 40, New = 6, Batch = [1, 3], Rounds = 2,
        Threads = 1,
    };

    [Fact]
    public void Everything_is_measured_with_each_format()
    {
        IReadOnlyList<ServeMeasurement> found =
            ServeBench.Run(Small with { BaseDtypes = ["float32", "int8"], Load = [0.5], Requests = 3 });
        Assert.Equal(["float32", "int8"], found.Select(measured => measured.Format));
        JsonObject json = JsonSerializer.SerializeToNode(ServeView.Json([found]))!["int8"]!.AsObject();
        string[] keys = ["tokens_per_second", "prompt_tokens_per_second", "adapters_tokens_per_second",
            "adapters_whole_tokens_per_second", "first_token_seconds", "repeated_of_first", "lookup_speedup",
            "lookup_tokens_per_step"];
        Assert.All(keys, key => Assert.InRange(json[key]!.GetValue<double>(), double.Epsilon, double.MaxValue));
        Assert.Equal([1, 3], json["batches"]!.AsArray().Select(batch => batch!["texts"]!.GetValue<int>()));
        Assert.Null(json["adapters_cost"]); // as many texts as adapters were not measured with the base alone
        Assert.Null(json["llama_server"]);
        ServeLoad load = Assert.Single(found[1].Loads);
        Assert.Equal(3, load.Waits.Count);
        Assert.Equal(3 * 5, load.Between.Count);
        Assert.Equal(ServeMeasurement.Rate(found[0].One), found[0].TokensPerSecond);
        Assert.Equal(2, found[0].Mixed[0].Texts);
        Assert.Equal(2 * 5, found[0].Mixed[0].Next.Count);
        Assert.InRange(found[0].TokensPerStep, 1, 6);
    }

    [Fact]
    public void Rates_are_those_of_the_time_in_which_all_texts_are_written()
    {
        static long At(double seconds) => (long)(seconds * Stopwatch.Frequency);
        // The second text begins at 2 s; from there a step takes half a second.
        TokenTimes together = TokenTimes.Of(At(0), [[At(1), At(2), At(2.5), At(3)], [At(2), At(2.5), At(3), At(3.5)]]);
        Assert.Equal(4, together.TokensPerSecond, 6);
        Assert.Equal(0.5, together.FastestSeconds, 6);
        Assert.Equal(8 / 3.5, together.WholeTokensPerSecond, 6);
        // One after the other: a token per second, but not between 3 s and 5 s.
        TokenTimes apart = TokenTimes.Of(At(0), [[At(1), At(2), At(3)], [At(5), At(6), At(7)]]);
        Assert.Equal(1, apart.TokensPerSecond, 6);
        Assert.Equal([1, 2, 4, 4], new[] { 0.2, 0.5, 0.76, 0.99 }.Select(share =>
            ServeLoad.Quantile([1, 2, 3, 4], share)));
    }

    [Fact]
    public async Task Llama_server_gets_as_many_requests_at_once_as_there_are_adapters_each_with_another_one()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the stand-in for llama-server is a shell script");
        using var folder = new TemporaryFolder();
        string program = folder["llama-server"];
        File.WriteAllText(program, $$"""
            #!/bin/sh
            cp "$2" {{folder.Path}}
            cp $(dirname "$2")/adapter-1.gguf {{folder.Path}}
            echo "$*" > {{folder["call"]}}.new
            mv {{folder["call"]}}.new {{folder["call"]}}
            exec sleep 60
            """);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        Task<IReadOnlyList<ServeMeasurement>> measuring = Task.Run(() => ServeBench.Run(
            Small with { BaseDtypes = ["int8", "nf4"], Rounds = 1, LlamaServer = program }));
        while (!File.Exists(folder["call"]) && !measuring.IsCompleted)
            await Task.Delay(20, TestContext.Current.CancellationToken);
        string[] call = File.ReadAllText(folder["call"]).Trim().Split(' ');
        // HttpListener fails where a client connects while it starts, as the bench does.
        using var listener = new TcpListener(
            IPAddress.Loopback, int.Parse(call[Array.IndexOf(call, "--port") + 1], CultureInfo.InvariantCulture));
        listener.Start();
        ConcurrentBag<JsonNode> bodies = [];
        List<Task> answers = [];
        while (!measuring.IsCompleted)
        {
            Task<TcpClient> next = listener.AcceptTcpClientAsync();
            if (await Task.WhenAny(next, measuring) == measuring) break;
            answers.Add(Answer(await next, bodies));
        }
        listener.Stop();
        await Task.WhenAll(answers);
        IReadOnlyList<ServeMeasurement> found = await measuring;
        // One untimed, two with adapters, two without; each stand-in's text has two tokens.
        Assert.Equal(5, bodies.Count);
        Assert.Equal([0, 1], bodies.SelectMany(body => body["lora"]!.AsArray())
            .Select(lora => lora!["id"]!.GetValue<int>()).Order());
        Assert.All(bodies, body => Assert.Equal(40, body["prompt"]!.AsArray().Count));
        Assert.Equal(["q8_0", null], found.Select(measured => measured.Server?.Type));
        Assert.Equal(2, found[0].Server!.Mixed.Single().Next.Count);
        Assert.NotNull(found[0].OfServer);
        Assert.Null(found[1].WholeOfServer);
        Assert.Contains("--lora-init-without-apply", call);
        const long Values = (2 * 192 + 192 + 96) * 2; // q_proj and v_proj of one layer at rank 2
        Assert.InRange(new FileInfo(folder["adapter-1.gguf"]).Length - 4 * Values, 0, 2048);
        Assert.InRange(new FileInfo(folder["int8.gguf"]).Length, 4096 * 192 * 2, long.MaxValue);
    }

    [Fact]
    public void What_makes_no_sense_is_refused_all_at_once()
    {
        string message = Assert.Throws<InputException>(() => ServeBench.Run(new ServeOptions
        {
            Shape = "gpt2-small", Adapters = 0, Rank = 0, New = 1, Batch = [4, 0], Load = [3], LlamaServer = "a",
        })).Message;
        Assert.All(["--adapters is 0", "--rank is 0", "--new is 1", "--batch is 0", "--load has 3",
            "--llama-server compares llama models; gpt2-small is of type gpt2"],
            part => Assert.Contains(part, message, StringComparison.Ordinal));
        Assert.Contains("takes at most 512", Assert.Throws<InputException>(
            () => ServeBench.Run(Small with { Prompt = 510 })).Message);
        Assert.Contains("which did not serve", Assert.Throws<InputException>(
            () => ServeBench.Run(Small with { LlamaServer = "/nowhere/llama-server", Rounds = 1 })).Message);
    }

    // Answers a request with two tokens; keeps its body if it asks for a text.
    private static async Task Answer(TcpClient client, ConcurrentBag<JsonNode> bodies)
    {
        CancellationToken token = TestContext.Current.CancellationToken;
        using TcpClient asking = client;
        using var reader = new StreamReader(asking.GetStream(), Encoding.ASCII);
        if (await reader.ReadLineAsync(token) is not { } first) return; // it connected and said nothing
        int length = 0;
        while (await reader.ReadLineAsync(token) is { Length: > 0 } line)
            if (line.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase))
                length = int.Parse(line["Content-Length:".Length..], CultureInfo.InvariantCulture);
        var body = new char[length];
        if (length > 0) await reader.ReadBlockAsync(body, token); // to read nothing would wait for more
        if (first.Contains("/completion", StringComparison.Ordinal)) bodies.Add(JsonNode.Parse(new string(body))!);
        const string Events = "data: {\"content\":\"a\",\"stop\":false}\n\n" +
            "data: {\"content\":\"b\",\"stop\":false}\n\ndata: {\"content\":\"\",\"stop\":true}\n\n";
        await asking.GetStream().WriteAsync(Encoding.ASCII.GetBytes(
            $"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {Events.Length}\r\n\r\n{Events}"), token);
    }
}
