using System.Net.Http.Headers;
using System.Text;
using CsCheck;
using LowRank.Server.Requests;

namespace LowRank.ServerTests;

/// <summary>Whatever a request holds, the answer is an answer or an error of the client's, never one of the
/// server's.</summary>
[Collection(WriterFixture.Name)]
public sealed class FuzzTests(WriterFixture fixture)
{
    // Requests that are right; a few of their characters or values are changed.
    private static readonly (string Path, string Body)[] Right =
    [
        ("/v1/chat/completions",
            """{"model": "golden", "messages": [{"role": "user", "content": "a"}], "max_tokens": 1, "n": 1, "stop": ["b"], "temperature": 0.5, "logit_bias": {"5": 1}, "logprobs": true, "top_logprobs": 2}"""),
        ("/v1/chat/completions",
            """{"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}], "max_tokens": 1, "stream": true, "stream_options": {"include_usage": true}}"""),
        ("/v1/chat/completions",
            """{"messages": [{"role": "user", "content": "a"}], "max_tokens": 1, "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}], "tool_choice": "none"}"""),
        ("/v1/chat/completions",
            """{"messages": [{"role": "user", "content": "a"}], "max_tokens": 1, "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "properties": {"a": {"type": "string", "maxLength": 3}}}}}}"""),
        ("/v1/completions",
            """{"prompt": "a", "max_tokens": 1, "echo": true, "logprobs": 1, "seed": 4, "top_p": 0.5, "top_k": 3, "min_p": 0.1, "lora": [{"id": 0, "scale": 0.5}]}"""),
        ("/v1/completions",
            """{"prompt": [1, 2, 3], "max_tokens": 1}"""),
        ("/v1/embeddings",
            """{"input": ["a", "b"], "encoding_format": "base64"}"""),
        ("/v1/rerank",
            """{"query": "a", "documents": ["b", {"text": "c"}], "top_n": 1}"""),
        ("/v1/score",
            """{"text_1": "a", "text_2": ["b", "c"]}"""),
        ("/v1/responses",
            """{"input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}], "max_output_tokens": 1, "instructions": "b"}"""),
        ("/detokenize",
            """{"tokens": [1, 2, 250]}"""),
        ("/api/chat",
            """{"model": "writer", "messages": [{"role": "user", "content": "a"}], "stream": false, "options": {"num_predict": 1, "top_k": 3}}"""),
        ("/api/generate",
            """{"model": "writer", "prompt": "a", "raw": true, "stream": false, "options": {"num_predict": 1}}"""),
        ("/v1/load_lora_adapter",
            """{"lora_name": "a", "lora_path": "b"}"""),
    ];

    private static readonly string[] Values =
    [
        "null", "true", "-1", "0", "1e999", "-0.0", "99999999999999999999", "\"\"", "\"\\u0000\"", "\"\\ud83d\"", "[]",
        "{}", "[[]]", "[null]", "{\"\": {}}", "\"a\"", "[1]", "0.1",
    ];

    private static Gen<(string Path, string Body)> Changed => Gen.Select(
        Any(Right), Gen.Int[0, 3].SelectMany(kind => kind switch
        {
            0 => Gen.Select(Gen.Int[0, 400], Gen.Char[' ', '~'], (at, letter) => (Func<string, string>)(text =>
                text[..(at % text.Length)] + letter + text[(at % text.Length + 1)..])),
            1 => Gen.Int[0, 400].Select(at => (Func<string, string>)(text => text[..(at % text.Length)])),
            _ => Gen.Select(Gen.Int[0, 60], Any(Values), (at, value) =>
                (Func<string, string>)(text => Replaced(text, at, value))),
        }), (right, change) => (right.Path, change(right.Body)));

    [Fact]
    public async Task Whatever_a_body_holds_the_server_does_not_fail()
    {
        int good = 0, seen = 0;
        await Changed.SampleAsync(async one =>
        {
            (string path, string body) = one;
            Answer answer = await fixture.Server.Post(path, body);
            Assert.True(answer.Status is 200 or (>= 400 and < 500), $"{path} {answer.Status}\n{body}\n{answer.Text}");
            Interlocked.Increment(ref seen);
            if (answer.Status == 200) Interlocked.Increment(ref good);
            else Assert.Contains("error", answer.Text, StringComparison.Ordinal);
        }, iter: 1000, threads: 4);
        Assert.True(good > 0, "no body was right, so that little was tried");
        Assert.True(seen >= 1000);
        Assert.Equal(200, (await fixture.Server.Post("/v1/completions", new { prompt = "a", max_tokens = 1 })).Status);
    }

    [Fact]
    public void Any_bytes_are_a_body_or_refused() => Gen.OneOf(
        Gen.Byte.Array[0, 200], Changed.Select(one => Encoding.UTF8.GetBytes(one.Body)),
        Gen.Select(Changed, Gen.Int[0, 1000], Gen.Byte, (one, at, value) =>
        {
            byte[] bytes = Encoding.UTF8.GetBytes(one.Body);
            if (bytes.Length > 0) bytes[at % bytes.Length] = value;
            return bytes;
        })).Sample(bytes =>
    {
        try
        {
            Assert.Equal(System.Text.Json.JsonValueKind.Object, RequestBody.Parse(bytes).ValueKind);
        }
        catch (ApiException refused)
        {
            Assert.Equal(400, refused.Status);
        }
    }, iter: 20_000);

    [Theory]
    [InlineData("gzip")]
    [InlineData("br")]
    public async Task A_packed_body_is_refused(string encoding)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = new ByteArrayContent([1, 2, 3]) { Headers = { ContentEncoding = { encoding } } },
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        (await fixture.Server.Send(request)).Bad(415);
    }

    private static Gen<T> Any<T>(T[] all) => Gen.Int[0, all.Length - 1].Select(at => all[at]);

    // The value after one of the colons.
    private static string Replaced(string text, int number, string value)
    {
        int[] colons = [.. text.Index().Where(letter => letter.Item == ':').Select(letter => letter.Index)];
        int at = colons[number % colons.Length] + 2, end = text.IndexOfAny([',', '}'], at);
        return text[..at] + value + text[(end < 0 ? text.Length : end)..];
    }
}
