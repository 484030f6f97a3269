using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace LowRank.Cli;

/// <summary>Writes each event as a line of JSON: time, level, number, message and its values by name.</summary>
/// <param name="to">Where.</param>
/// <param name="isDetailed">Whether events of the level Debug are written.</param>
internal sealed class JsonLineLogger(TextWriter to, bool isDetailed) : ILogger
{
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly Lock guard = new();

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel level) => level >= (isDetailed ? LogLevel.Debug : LogLevel.Information);

    public void Log<TState>(LogLevel level, EventId id, TState state, Exception? exception,
        Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(level)) return;
        using var line = new MemoryStream();
        using (var json = new Utf8JsonWriter(line, Options))
        {
            json.WriteStartObject();
            json.WriteString("time", DateTimeOffset.UtcNow.ToString("O", CultureInfo.InvariantCulture));
            json.WriteString("level", level.ToString().ToLowerInvariant());
            json.WriteNumber("event", id.Id);
            json.WriteString("message", formatter(state, exception));
            foreach ((string name, object? value) in state as IEnumerable<KeyValuePair<string, object?>> ?? [])
                if (name != "{OriginalFormat}") Write(json, JsonNamingPolicy.SnakeCaseLower.ConvertName(name), value);
            if (exception is not null) json.WriteString("exception", exception.ToString());
            json.WriteEndObject();
        }
        string text = Encoding.UTF8.GetString(line.ToArray());
        lock (guard) to.WriteLine(text);
    }

    private static void Write(Utf8JsonWriter json, string name, object? value)
    {
        switch (value)
        {
            case null: json.WriteNull(name); break;
            case int number: json.WriteNumber(name, number); break;
            case long number: json.WriteNumber(name, number); break;
            case double number when double.IsFinite(number): json.WriteNumber(name, number); break;
            case bool flag: json.WriteBoolean(name, flag); break;
            default: json.WriteString(name, Convert.ToString(value, CultureInfo.InvariantCulture)); break;
        }
    }
}
