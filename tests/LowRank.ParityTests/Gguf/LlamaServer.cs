using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using static TorchSharp.torch;

namespace LowRank.ParityTests.Gguf;

/// <summary>llama.cpp's own programs, where they are at hand: those of the root that REF names, or of PATH where
/// LOWRANK_LLAMA_CPP is 1.</summary>
internal sealed class LlamaServer : IDisposable
{
    private readonly Process process;
    private readonly HttpClient client;

    private LlamaServer(Process process, HttpClient client) => (this.process, this.client) = (process, client);

    /// <summary>The root with llama.cpp; empty for this machine's own, null without one.</summary>
    public static string? Root { get; } = Environment.GetEnvironmentVariable("REF") is { Length: > 0 } root
        && File.Exists(Path.Combine(root, "usr/bin/llama-server")) ? root
        : Environment.GetEnvironmentVariable("LOWRANK_LLAMA_CPP") == "1" ? "" : null;

    /// <summary>Runs a program to its end.</summary>
    /// <returns>What it wrote on its standard output.</returns>
    public static string Run(string program, params IReadOnlyList<string> arguments)
    {
        using Process started = Start(program, arguments);
        Task<string> errors = started.StandardError.ReadToEndAsync();
        string output = started.StandardOutput.ReadToEnd();
        started.WaitForExit();
        Assert.True(started.ExitCode == 0,
            $"{program} ended with {started.ExitCode}: {output}{errors.GetAwaiter().GetResult()}");
        return output;
    }

    /// <summary>What llama.cpp's library computes, which its server does not say: for an encoder-decoder model the log
    /// probabilities after each token of a target, for an encoder the scores of its labels.</summary>
    /// <param name="model">The model's file.</param>
    /// <param name="texts">A text's tokens, and a target's for an encoder-decoder model.</param>
    /// <returns>[rows, values]</returns>
    public static Tensor Library(string model, params IReadOnlyList<int[]> texts)
    {
        string script = Path.Combine(AppContext.BaseDirectory, "Gguf/libllama.py");
        string said = Run(
            "python3", [script, "libllama.so.0", model, .. texts.Select(text => string.Join(',', text))]);
        return stack(said.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => tensor(line.Split(' ')
            .Select(number => float.Parse(number, CultureInfo.InvariantCulture)).ToArray())));
    }

    /// <summary>Starts llama-server with a model.</summary>
    /// <param name="model">The model's file.</param>
    /// <param name="arguments">Further arguments.</param>
    public static LlamaServer Open(string model, params IReadOnlyList<string> arguments)
    {
        int port;
        using (var listener = new TcpListener(IPAddress.Loopback, 0))
        {
            listener.Start();
            port = ((IPEndPoint)listener.LocalEndpoint).Port;
        }
        // Keys and values in float32, one slot, no warm-up: what is compared is the model alone.
        Process process = Start("llama-server",
        [
            "-m", model, "--port", port.ToString(CultureInfo.InvariantCulture), "-t", "1", "-np", "1", "-ctk", "f32",
            "-ctv", "f32", "--no-warmup", "-fa", "off", "--no-webui", .. arguments,
        ]);
        var log = new System.Text.StringBuilder();
        process.OutputDataReceived += (_, line) => { lock (log) log.AppendLine(line.Data); };
        process.ErrorDataReceived += (_, line) => { lock (log) log.AppendLine(line.Data); };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}/") };
        for (int wait = 0; wait < 1200; wait++)
        {
            if (process.HasExited)
            {
                process.WaitForExit();
                lock (log) throw new InvalidOperationException($"llama-server ended with {process.ExitCode}: {log}");
            }
            try
            {
                if (client.GetAsync("health").GetAwaiter().GetResult().IsSuccessStatusCode)
                    return new LlamaServer(process, client);
            }
            catch (HttpRequestException)
            {
                // It does not listen yet.
            }
            Thread.Sleep(50);
        }
        process.Kill();
        throw new TimeoutException("llama-server did not start.");
    }

    /// <summary>The logarithms of the probabilities of all tokens after a prompt.</summary>
    /// <param name="prompt">The prompt's tokens.</param>
    /// <param name="vocabulary">The number of tokens.</param>
    /// <param name="scales">Scales of the adapters that the server was started with; null leaves them.</param>
    public float[] LogProbabilities(IReadOnlyList<int> prompt, int vocabulary, IReadOnlyList<double>? scales = null)
    {
        var request = new JsonObject
        {
            ["prompt"] = new JsonArray([.. prompt.Select(id => JsonValue.Create(id))]), ["n_predict"] = 1,
            ["n_probs"] = vocabulary, ["temperature"] = 1.0, ["cache_prompt"] = false, ["top_k"] = 0, ["top_p"] = 1.0,
            ["min_p"] = 0.0, ["ignore_eos"] = false,
        };
        if (scales is not null)
            request["lora"] = new JsonArray([.. scales.Select((scale, id) =>
                (JsonNode)new JsonObject { ["id"] = id, ["scale"] = scale })]);
        using HttpResponseMessage response = client.PostAsJsonAsync("completion", request).GetAwaiter().GetResult();
        string text = response.Content.ReadAsStringAsync().GetAwaiter().GetResult();
        Assert.True(response.IsSuccessStatusCode, text);
        float[] found = new float[vocabulary];
        Array.Fill(found, float.NaN);
        using JsonDocument answer = JsonDocument.Parse(text);
        foreach (JsonElement token in answer.RootElement.GetProperty("completion_probabilities")[0]
            .GetProperty("top_logprobs").EnumerateArray())
            found[token.GetProperty("id").GetInt32()] = token.GetProperty("logprob").GetSingle();
        return found;
    }

    /// <summary>The tokens of a text, with the special ones that the tokenizer adds.</summary>
    public int[] Tokenize(string text)
    {
        using HttpResponseMessage response = client.PostAsJsonAsync("tokenize", new JsonObject
        {
            ["content"] = text, ["add_special"] = true, ["parse_special"] = true,
        }).GetAwaiter().GetResult();
        using JsonDocument answer =
            JsonDocument.Parse(response.Content.ReadAsStringAsync().GetAwaiter().GetResult());
        return [.. answer.RootElement.GetProperty("tokens").EnumerateArray().Select(token => token.GetInt32())];
    }

    /// <summary>The state of each token of an encoder that was started without pooling; with one, the text's
    /// vector.</summary>
    public float[][] States(IReadOnlyList<int> prompt)
    {
        using HttpResponseMessage response = client.PostAsJsonAsync("embedding", new JsonObject
        {
            ["content"] = new JsonArray([.. prompt.Select(id => JsonValue.Create(id))]),
        }).GetAwaiter().GetResult();
        string text = response.Content.ReadAsStringAsync().GetAwaiter().GetResult();
        Assert.True(response.IsSuccessStatusCode, text);
        using JsonDocument answer = JsonDocument.Parse(text);
        return [.. answer.RootElement[0].GetProperty("embedding").EnumerateArray()
            .Select(state => state.EnumerateArray().Select(value => value.GetSingle()).ToArray())];
    }

    public void Dispose()
    {
        client.Dispose();
        if (!process.HasExited) process.Kill(entireProcessTree: true);
        process.WaitForExit();
        process.Dispose();
    }

    // The root's programs run with the root's own loader and libraries, so that it need not be entered.
    private static Process Start(string program, IReadOnlyList<string> arguments)
    {
        var start = new ProcessStartInfo
        {
            RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false,
        };
        if (Root is { Length: > 0 } root)
        {
            string libraries = Path.Combine(root, "usr/lib/x86_64-linux-gnu");
            start.FileName = Path.Combine(root, "lib64/ld-linux-x86-64.so.2");
            foreach (string argument in (string[])
                ["--library-path", $"{libraries}:{libraries}/llama", Path.Combine(root, "usr/bin", program)])
                start.ArgumentList.Add(argument);
            start.Environment["PYTHONHOME"] = Path.Combine(root, "usr");
            start.Environment["GGML_BACKEND_PATH"] =
                Path.Combine(libraries, "ggml/backends0/libggml-cpu-haswell.so");
        }
        else start.FileName = program;
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        return Process.Start(start)!;
    }
}
